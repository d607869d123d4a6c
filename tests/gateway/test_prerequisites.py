"""Files, folders and runtimes that a configuration names are looked for before anything starts."""

from pathlib import Path

import pytest

from gateway.config import load_config
from gateway.prerequisites import check_all, check_gateway, notes
from protos.strict_yaml import ConfigError

HEAD = "apiVersion: penstock/v1\nkind: Penstock\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "penstock.yaml"
    path.write_text(HEAD + text)
    return path


def told(folder: Path, text: str) -> list[str]:
    """What `penstock config check` says is wrong."""
    file = written(folder, text)
    try:
        check_all(load_config(file), file)
    except ConfigError as error:
        return [line.replace(f"{folder}/", "") for line in str(error).splitlines()]
    return []


@pytest.mark.parametrize("block", ["audit", "cache", "privacy"])
def test_a_key_file_that_is_missing_or_short_is_an_error_of_its_line(
    tmp_path: Path, block: str
) -> None:
    text = f"workers: 1\n{block}:\n  keyFile: secret\n"
    (missing,) = told(tmp_path, text)
    assert missing.startswith(f"penstock.yaml:5: {block}.keyFile")
    assert "secret" in missing
    assert "No such file" in missing

    (tmp_path / "secret").write_text("short")
    (short,) = told(tmp_path, text)
    assert short.startswith(f"penstock.yaml:5: {block}.keyFile")
    assert "5 bytes" in short

    (tmp_path / "secret").write_text("k" * 32)
    assert told(tmp_path, text) == []


def test_the_remedy_for_a_missing_key_makes_one(tmp_path: Path) -> None:
    (line,) = told(tmp_path, "privacy: {keyFile: secret}\n")
    assert line.endswith("to make one: head -c 32 /dev/urandom | base64 > secret")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("state: {url: 'redis://r', passwordFile: none}", "state.passwordFile"),
        ("store: {url: 'postgresql+psycopg://p/d', passwordFile: none}", "store.passwordFile"),
        ("revocation: {file: none}", "revocation.file"),
        ("exchange: {tls: {ca: none}}", "exchange.tls.ca"),
        (
            "issuers: [{name: a, issuer: a, algorithm: ES256, publicKeyFile: none}]",
            "issuers[0].publicKeyFile",
        ),
    ],
)
def test_a_file_that_a_gateway_reads_is_missed_before_it_starts(
    tmp_path: Path, text: str, where: str
) -> None:
    file = written(tmp_path, text + "\n")
    with pytest.raises(ConfigError) as caught:
        check_gateway(load_config(file), file)
    why = f"{where}: {tmp_path}/none can't be read: No such file or directory"
    assert str(caught.value) == f"{file}:3: {why}"


def test_backends_have_a_folder_of_models_and_a_runtime_that_there_is(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    server = "server: {url: 'http://s/v1', keyFile: none}"
    text = f"""backends:
  - {{runtime: onnx, repository: models}}
  - {{runtime: onxx, repository: modles}}
  - {{runtime: openai, {server}}}
"""
    folder, runtime, key = told(tmp_path, text)
    assert folder == "penstock.yaml:5: backends[1].repository: modles is no folder"
    assert runtime.startswith("penstock.yaml:5: backends[1].runtime: no runtime ")
    assert runtime.endswith('; did you mean "onnx"?')
    assert key.startswith("penstock.yaml:6: backends[2].server.keyFile: none can't be read")


def test_a_gateway_asks_for_no_backends_and_serves_on_without_its_folder_of_routes(
    tmp_path: Path,
) -> None:
    text = "routes: none\nbackends: [{runtime: onxx, repository: none}]\n"
    assert len(told(tmp_path, text)) == 3
    file = tmp_path / "penstock.yaml"
    check_gateway(load_config(file), file)


def test_what_is_made_at_first_use_needs_not_be_there(tmp_path: Path) -> None:
    issuer = "{name: d, issuer: d, algorithm: HS256, secretFile: state/s, development: true}"
    text = "stateFolder: state\naudit: {folder: log}\napiKeys: {secretFile: state/k}\n"
    assert told(tmp_path, f"{text}issuers: [{issuer}]\n") == []


@pytest.mark.parametrize(
    ("store", "noted"), [("", True), ("store: {url: 'postgresql+psycopg://p/d'}", False)]
)
def test_shared_limits_beside_records_of_ones_own_are_noted(
    tmp_path: Path, store: str, noted: bool
) -> None:
    config = load_config(written(tmp_path, f"state: {{url: 'redis://r'}}\n{store}\n"))
    assert [each.partition(":")[0] for each in notes(config)] == ["state"] * noted
    assert list(notes(load_config(written(tmp_path, store + "\n")))) == []


@pytest.mark.parametrize(("mode", "noted"), [(0o700, False), (0o750, False), (0o755, True)])
def test_a_state_folder_that_others_can_look_into_is_noted(
    tmp_path: Path, mode: int, noted: bool
) -> None:
    config = load_config(written(tmp_path, "stateFolder: state\n"))
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(mode)
    assert [each.partition(":")[0] for each in notes(config)] == ["stateFolder"] * noted


def test_secrets_that_a_command_makes_are_told_while_they_are_missing(tmp_path: Path) -> None:
    text = """issuers:
  - {name: dev, issuer: i, algorithm: HS256, secretFile: dev.secret, development: true}
apiKeys: {secretFile: keys.secret}
"""
    assert told(tmp_path, text) == []
    issuers, keys = notes(load_config(tmp_path / "penstock.yaml"))
    assert issuers.startswith("issuers[0].secretFile: ")
    assert "`penstock token` make it, and a gateway needs it" in issuers
    assert keys.startswith("apiKeys.secretFile: ")
    for name in ("dev.secret", "keys.secret"):
        (tmp_path / name).write_text("k" * 32)
    assert list(notes(load_config(tmp_path / "penstock.yaml"))) == []


def test_a_key_that_others_can_read_is_told(tmp_path: Path) -> None:
    key = tmp_path / "audit.key"
    key.write_text("k" * 32)
    key.chmod(0o644)
    config = load_config(written(tmp_path, "audit: {keyFile: audit.key}\n"))
    (note,) = notes(config)
    assert note == f"audit.keyFile: others on this machine can read {key}; chmod 600 {key}"
    key.chmod(0o600)
    assert list(notes(config)) == []
