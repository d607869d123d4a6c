"""`penstock keys`: API keys, and tokens that are withdrawn before they expire."""

import getpass
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from gateway.audit.operator import recorded
from gateway.command import DEFAULT_FILE, File, Json, load_settings, show
from gateway.config import Config
from policies.api_keys import ApiKey, ApiKeySettings, make_key, read_secret
from policies.claims import is_name
from policies.tokens import ensure_secret
from protos.errors import Kind, PenstockError, invalid
from protos.quantities import seconds
from protos.wording import did_you_mean, quote

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="API keys in the record store, and withdrawn tokens.",
)


@app.command()
def create(
    tenant: Annotated[str, typer.Option(help="Whose requests the key's bearer makes.")],
    name: Annotated[str, typer.Option(help="What the key is for; its bearer is called so.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="infer:<pattern>, metrics, admin or backend:join[:<pattern>]; repeatable."
        ),
    ] = None,
    lifetime: Annotated[str, typer.Option(help="Such as 30d or 12h, or never.")] = "90d",
    file: File = DEFAULT_FILE,
    as_json: Json = False,
) -> None:
    """Makes an API key and prints it, this once: nobody can find it out afterwards."""
    config = load_settings(file)
    settings = _api_keys(config)
    try:
        duration = None if lifetime == "never" else seconds(lifetime)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--lifetime") from None
    settings.secret_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    ensure_secret(settings.secret_file)
    stored, key = make_key(
        read_secret(settings.secret_file),
        name=name,
        tenant=tenant,
        scopes=scope or (),
        lifetime=duration,
        now=time.time(),
        by=_operator(),
    )
    who = _operator()
    facts = {"key": stored.id, "name": name, "tenant": tenant, "scopes": list(stored.scopes)}
    with _store(config) as store, recorded(config, "key.create", by=who, **facts):
        store.keys.add(stored)
    if as_json:
        print(json.dumps({**_row(stored, stored.created), "key": key}, indent=2))
        return
    until = "never expires" if stored.expires is None else f"expires {_date(stored.expires)}"
    print(key)
    print(
        f"{stored.id} for {name} of {tenant} ({', '.join(stored.scopes)}) {until}",
        file=sys.stderr,
    )


@app.command("list")
def list_keys(
    tenant: Annotated[str, typer.Option(help="Only this one's.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Revoked and expired ones too.")] = False,
    file: File = DEFAULT_FILE,
    as_json: Json = False,
) -> None:
    """Lists API keys, without what makes them work."""
    now = time.time()
    with _store(load_settings(file)) as store:
        found = store.keys.all()
    rows = [_row(key, now) for key in found if not tenant or key.tenant == tenant]
    if not every:
        rows = [row for row in rows if row["state"] == "active"]
    columns = ("id", "name", "tenant", "scopes", "state", "expires", "created", "created_by")
    show(rows, [[_shown(row[column]) for column in columns] for row in rows], columns, as_json)


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(metavar="ID", help="As `penstock keys list` shows it.")],
    file: File = DEFAULT_FILE,
) -> None:
    """Revokes an API key, which running gateways refuse within two seconds."""
    if key.startswith("pk_"):
        key = key.split("_")[1]  # somebody who found a key can revoke it as it is
    config, who = load_settings(file), _operator()
    with _store(config) as store, recorded(config, "key.revoke", by=who, key=key):
        if not store.keys.revoke(key, who, time.time()):
            known = {each.id: each for each in store.keys.all()}
            if key not in known:
                hint = did_you_mean(key, known)
                raise PenstockError(Kind.NOT_FOUND, f"no API key has the id {quote(key)}{hint}")
            revoked = known[key]
            when = _date(revoked.revoked or 0.0)
            raise invalid(f"{key} was revoked already, {when} by {revoked.revoked_by}")
    print(f"{key} is revoked")


@app.command("revoke-token")
def revoke_token(
    issuer: Annotated[str, typer.Argument(metavar="ISSUER", help="Its name in penstock.yaml.")],
    jti: Annotated[str, typer.Argument(metavar="JTI", help="The token's claim `jti`.")],
    file: File = DEFAULT_FILE,
) -> None:
    """Withdraws a token until it must have expired; needs `revocation: {store: true}`."""
    config = load_settings(file)
    if config.revocation is None or not config.revocation.store:
        raise invalid("revocation: says no `store: true`, so gateways wouldn't look")
    issuers = {each.name: each for each in config.issuers}
    if issuer not in issuers:
        hint = did_you_mean(issuer, issuers)
        raise PenstockError(Kind.NOT_FOUND, f"no issuer is called {quote(issuer)}{hint}")
    if not is_name(jti):
        raise invalid("jti: must be 1 to 256 printable characters")
    now = time.time()
    # The longest that a token may live that was accepted by now, by a clock as wrong as allowed.
    until = now + issuers[issuer].max_lifetime + 4 * issuers[issuer].leeway
    who = _operator()
    facts = {"issuer": issuer, "jti": jti, "until": until}
    with _store(config) as store, recorded(config, "token.revoke", by=who, **facts):
        store.keys.withdraw((issuer, jti), until=until, by=who, now=now)
    print(f"{jti} of {issuer} is withdrawn until {_date(until)}, when it has expired")


def _api_keys(config: Config) -> ApiKeySettings:
    if config.api_keys is None:
        raise invalid("apiKeys: is not set, so gateways accept none: name its secretFile")
    return config.api_keys


@contextmanager
def _store(config: Config) -> Iterator[Any]:
    from sqlalchemy.exc import SQLAlchemyError

    from gateway.store.engine import open_store  # which the other commands don't need
    from gateway.store.failure import StoreError

    try:
        store = open_store(config.store_url.render_as_string(hide_password=False))
        try:
            yield store
        finally:
            store.close()
    except StoreError as error:
        raise PenstockError(Kind.UNAVAILABLE, f"store: {error}") from error
    except SQLAlchemyError as error:
        why = f"the record store doesn't answer ({type(error).__name__})"
        raise PenstockError(Kind.UNAVAILABLE, why) from error


def _row(key: ApiKey, now: float) -> dict[str, Any]:
    """As it is shown; times in UTC."""
    if key.revoked is not None:
        state = "revoked"
    else:
        state = "active" if key.expires is None or now < key.expires else "expired"
    return {
        "id": key.id,
        "name": key.name,
        "tenant": key.tenant,
        "scopes": list(key.scopes),
        "state": state,
        "created": _date(key.created),
        "created_by": key.created_by,
        "expires": None if key.expires is None else _date(key.expires),
        "revoked": None if key.revoked is None else _date(key.revoked),
        "revoked_by": key.revoked_by or None,
    }


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return "never" if value is None else str(value)


def _date(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _operator() -> str:
    """Who runs the command, as far as this machine knows."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
