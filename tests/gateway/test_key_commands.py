"""`penstock keys` against a real store."""

import json
import stat
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from gateway.config import load_config
from gateway.key_commands import app
from gateway.store.engine import open_store
from policies.api_keys import KeyBook, read_secret
from protos.errors import PenstockError

CONFIG = """
apiVersion: penstock/v1
kind: Penstock
stateFolder: state
issuers:
  - {name: company, issuer: i, algorithm: HS256, secretFile: secret}
apiKeys: {secretFile: state/api-keys}
revocation: {store: true}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "penstock.yaml"
    path.write_text(CONFIG)
    return path


def keys(config: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(
        app, [*arguments, "--config", str(config)], env={"COLUMNS": "200", "LOGNAME": "ann"}
    )
    if isinstance(result.exception, PenstockError):
        raise result.exception
    return result


def create(config: Path, *arguments: str, tenant: str = "acme") -> str:
    named = ("--tenant", tenant, "--name", "nightly", "--scope", "infer:fraud")
    return keys(config, "create", *named, *arguments).stdout.strip()


def listed(config: Path, *arguments: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads(keys(config, "list", "--json", *arguments).stdout)
    return rows


def test_a_created_key_is_alone_on_standard_output_and_works(config: Path) -> None:
    made = keys(config, "create", "--tenant", "acme", "--name", "nightly", "--scope", "infer:fraud")
    assert made.exit_code == 0
    key = made.stdout.strip()
    assert made.stdout == f"{key}\n"
    assert "expires 2" in made.stderr
    assert key not in made.stderr

    settings = load_config(config)
    store = open_store(settings.store_url.render_as_string(hide_password=False))
    secret = settings.state_folder / "api-keys"
    principal = KeyBook.of(read_secret(secret), store.keys.all()).principal(key.encode(), 0.0)
    store.close()
    assert (principal.tenant, principal.subject) == ("acme", "nightly")
    assert principal.may_infer("fraud")
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_the_list_shows_everything_but_the_keys(config: Path) -> None:
    key = create(config)
    shown = keys(config, "list").stdout
    assert "nightly" in shown
    assert "infer:fraud" in shown
    (row,) = listed(config)
    assert (row["state"], row["created_by"], row["tenant"]) == ("active", "ann", "acme")
    assert key.split("_")[1] == row["id"]
    assert key.split("_")[2] not in shown + json.dumps(row)


def test_what_no_longer_counts_is_listed_on_demand(config: Path) -> None:
    create(config, "--lifetime", "1us")
    revoked = create(config, tenant="globex")
    keys(config, "revoke", revoked.split("_")[1])
    create(config, "--lifetime", "never")
    assert [row["expires"] for row in listed(config)] == [None]
    assert {row["state"] for row in listed(config, "--all")} == {"active", "expired", "revoked"}
    (row,) = listed(config, "--all", "--tenant", "globex")
    assert (row["state"], row["revoked_by"]) == ("revoked", "ann")


def test_a_key_that_was_found_somewhere_can_be_revoked_as_it_is(config: Path) -> None:
    key = create(config)
    assert keys(config, "revoke", key).stdout == f"{key.split('_')[1]} is revoked\n"
    assert listed(config) == []
    with pytest.raises(PenstockError, match=r"was revoked already, 20.* by ann"):
        keys(config, "revoke", key)


def test_an_unknown_id_is_named_and_a_whole_key_is_not(config: Path) -> None:
    identity = create(config).split("_")[1]
    with pytest.raises(PenstockError, match=f'did you mean "{identity}"'):
        keys(config, "revoke", identity[:-1])
    with pytest.raises(PenstockError) as caught:
        keys(config, "revoke", "pk_unknown_secret")
    assert "secret" not in caught.value.message


def test_programs_get_json(config: Path) -> None:
    made = json.loads(create(config, "--json"))
    assert made["key"].startswith(f"pk_{made['id']}_")
    assert made["scopes"] == ["infer:fraud"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--tenant", "a", "--name", "b"), "scope: a key without one"),
        (("--tenant", "a", "--name", "b", "--scope", "root"), 'scope: "root" is none of'),
        (("--tenant", "", "--name", "b", "--scope", "admin"), "tenant: must be"),
    ],
)
def test_a_key_that_would_be_no_good_is_not_made(
    config: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(PenstockError, match=sentence):
        keys(config, "create", *arguments)
    assert listed(config, "--all") == []


def test_a_lifetime_has_a_unit(config: Path) -> None:
    result = keys(config, "create", "--tenant", "a", "--name", "b", "--lifetime", "90")
    assert result.exit_code == 2
    assert "--lifetime" in result.output


def test_keys_that_no_gateway_would_accept_are_not_made(config: Path) -> None:
    config.write_text(CONFIG.replace("apiKeys", "# apiKeys"))
    with pytest.raises(PenstockError, match="apiKeys: is not set"):
        create(config)


def test_a_token_is_withdrawn_until_it_must_have_expired(config: Path) -> None:
    shown = keys(config, "revoke-token", "company", "5f2c").stdout
    assert "5f2c of company is withdrawn until" in shown
    settings = load_config(config)
    store = open_store(settings.store_url.render_as_string(hide_password=False))
    assert store.keys.withdrawn() == {("company", "5f2c")}
    store.close()


@pytest.mark.parametrize(
    ("issuer", "jti", "sentence"),
    [
        ("compnay", "5f2c", 'no issuer is called "compnay"; did you mean "company"'),
        ("company", "", "jti: must be 1 to 256"),
    ],
)
def test_a_withdrawal_that_would_do_nothing_is_refused(
    config: Path, issuer: str, jti: str, sentence: str
) -> None:
    with pytest.raises(PenstockError, match=sentence):
        keys(config, "revoke-token", issuer, jti)


def test_nothing_is_withdrawn_where_gateways_do_not_look(config: Path) -> None:
    config.write_text(CONFIG.replace("revocation:", "# revocation:"))
    with pytest.raises(PenstockError, match="revocation: says no `store: true`"):
        keys(config, "revoke-token", "company", "5f2c")


def test_a_store_that_does_not_answer_is_one_sentence(config: Path) -> None:
    config.write_text(CONFIG + "store: {url: 'postgresql+psycopg://a@127.0.0.1:9/a'}\n")
    with pytest.raises(PenstockError, match=r"the record store doesn't answer \(OperationalError"):
        keys(config, "list")
