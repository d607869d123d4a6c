"""`penstock routes`: checks the folder of routes, and says where a request would go."""

import json
import random
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from gateway.command import DEFAULT_FILE, File, Json, Offset, ask, load_settings
from gateway.routes.drawing import drawn
from gateway.routes.explain import explain as explained
from gateway.routes.folder import load_folder
from gateway.routes.kinds import ROUTE, schemas
from gateway.routes.question import Question, question
from protos.errors import invalid
from protos.strict_yaml import ConfigError
from protos.wording import did_you_mean, quote
from routing.rules.split import Splitter
from routing.rules.table import RouteTable

app = typer.Typer(no_args_is_help=True, help="The routes: which requests go where.")

Folder = Annotated[
    Path | None, typer.Argument(metavar="DIR", help="The configuration's `routes`, if left out.")
]


@app.command()
def check(folder: Folder = None, file: File = DEFAULT_FILE, as_json: Json = False) -> None:
    """Says everything that is wrong with the routes, and what of them has no effect.

    Ends with status 1 if something is wrong.
    """
    where = folder or _configured(file)
    problems: list[str] = []
    notes: list[str] = []
    summary: dict[str, Any] = {"folder": str(where)}
    try:
        documents = load_folder(where)
    except ConfigError as error:
        problems = str(error).splitlines()
    else:
        notes = documents.notes
        if not documents.routes:
            what = f"{where}: holds no routes; files end in .yaml, folders in it aren't read"
            (notes if documents.policies else problems).append(what)
        summary |= {
            "routes": len(documents.routes),
            "policies": len(documents.policies),
            "revision": documents.revision,
        }
    if as_json:
        print(json.dumps({**summary, "problems": problems, "notes": notes}, indent=2))
    else:
        for line in (*problems, *(f"note: {note}" for note in notes)):
            print(line)
        if not problems:
            routes, policies = len(documents.routes), len(documents.policies)
            held = f"{routes} route{'' if routes == 1 else 's'}"
            if policies:
                held += f", {policies} polic{'y' if policies == 1 else 'ies'}"
            print(f"{where}: {held}, revision {documents.revision}")
    raise typer.Exit(1 if problems else 0)


@app.command()
def schema(
    kind: Annotated[str, typer.Option(help="Which kind of document: Route, Privacy …")] = ROUTE,
) -> None:
    """Prints the JSON Schema of the documents of a kind, for editors."""
    known = schemas()
    if kind not in known:
        raise invalid(f"--kind: there is no kind {quote(kind)}{did_you_mean(kind, known)}")
    print(json.dumps(known[kind], indent=2))


@app.command()
def explain(
    model: Annotated[str, typer.Option(help="The model that is asked for.")],
    tenant: Annotated[str, typer.Option(help="Whose request it is.")] = "",
    header: Annotated[
        list[str] | None, typer.Option(metavar="NAME:VALUE", help="May be repeated.")
    ] = None,
    claim: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Of the token; a list is written as JSON."),
    ] = None,
    subject: Annotated[str, typer.Option(help="The token's subject.")] = "",
    issuer: Annotated[str, typer.Option(help="The issuer's name, if there are several.")] = "",
    version: Annotated[str, typer.Option(help="The version that the request names.")] = "",
    folder: Annotated[
        Path | None,
        typer.Option("--routes", metavar="DIR", help="Reads these instead of asking a gateway."),
    ] = None,
    file: File = DEFAULT_FILE,
    port_offset: Offset = None,
    as_json: Json = False,
) -> None:
    """Says where such a request goes and why, by the code that serves requests."""
    claims = _claims(claim or [])
    named = claims.pop("sub", subject)  # the same thing by its other name
    if subject and named != subject:
        raise invalid(f"--subject: is {quote(subject)}, and --claim says {quote(str(named))}")
    asked = question(
        {
            "model": model,
            "tenant": tenant,
            "headers": _headers(header or []),
            "claims": claims,
            "subject": named,
            "issuer": _issuer(issuer, file, needed=folder is None),
            "version": version,
        }
    )
    answer = _from_folder(asked, folder) if folder else _from_gateway(asked, file, port_offset)
    if as_json:
        print(json.dumps(answer, indent=2))
    else:
        Console().print(drawn(answer))


def _from_folder(asked: Question, folder: Path) -> dict[str, Any]:
    documents = load_folder(folder)
    table = RouteTable(documents.routes, {}, documents.policies)
    splitter = Splitter(random.random)
    return explained(table, splitter, asked, None).to_json()


def _from_gateway(asked: Question, file: Path, port_offset: int | None) -> dict[str, Any]:
    return ask(file, port_offset, lambda client: client.explain(asked.model_dump(mode="json")))


def _configured(file: Path) -> Path:
    routes = load_settings(file).routes
    if routes is None:
        raise invalid(f"routes: {file} names no folder; give one as argument")
    return routes


def _issuer(given: str, file: Path, *, needed: bool) -> str:
    """Subjects are those of their issuer, which goes without saying where there is one."""
    if not (needed or file.exists()):
        return given
    issuers = load_settings(file).issuers
    names = [each.name for each in issuers]
    if given and given not in names:
        raise invalid(f"--issuer: none is called {quote(given)}{did_you_mean(given, names)}")
    if given:
        return given
    return issuers[0].name if len(issuers) == 1 else ""


def _headers(given: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in given:
        name, colon, value = each.partition(":")
        if not colon or not name.strip():
            raise invalid(f"--header: {quote(each)} is not NAME:VALUE")
        key = name.strip().lower()
        # As RFC 9110, 5.3 joins them.
        found[key] = f"{found[key]}, {value.strip()}" if key in found else value.strip()
    return found


def _claims(given: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise invalid(f"--claim: {quote(each)} is not NAME=VALUE")
        if name in found:
            raise invalid(f"--claim: {name} is given twice; write a list as JSON")
        found[name] = _list(each, value) if value.startswith("[") else value
    return found


def _list(claim: str, value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        raise invalid(f"--claim: {quote(claim)} is neither a word nor a JSON list") from None
