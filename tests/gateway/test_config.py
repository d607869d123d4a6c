import os
from ipaddress import ip_network
from pathlib import Path

import pytest

from gateway.config import Config, load_config, schema
from protos.quantities import Address
from protos.strict_yaml import ConfigError

HEAD = "apiVersion: penstock/v1\nkind: Penstock\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "penstock.yaml"
    path.write_text(HEAD + text)
    return path


def refused(folder: Path, text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_config(written(folder, text))
    return caught.value


def test_a_minimal_file_has_the_documented_defaults(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, ""))
    addresses = [str(config.listener(face).address) for face in ("http", "grpc", "admin")]
    assert addresses == ["127.0.0.1:8000", "127.0.0.1:8001", "127.0.0.1:8002"]
    assert config.listener("discovery").address == Address("127.0.0.1", 8003)
    assert (config.limits.body, config.limits.header_bytes) == (64 << 20, 16384)
    assert (config.timeouts.total, config.timeouts.idle) == (30.0, 5.0)
    assert config.discovery.allowed_networks == (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    assert (config.workers, config.issuers, config.backends) == (1, (), ())
    assert config.state_folder == tmp_path / ".penstock"


FULL = """
listeners:
  http: {address: "0.0.0.0:9000", tls: {certificate: tls/c.pem, key: /etc/k.pem, clientCa: ca.pem}}
  discovery: {address: "[::1]:9003"}
workers: 2
portOffset: 10
issuers:
  - {name: dev, issuer: "https://dev", algorithm: HS256, secretFile: .penstock/secret,
     development: true, leeway: 10s}
exchange: {tls: {ca: ca.pem}}
limits: {body: 1GiB, idleTimeout: 500ms}
timeouts: {total: 2s}
discovery: {lease: 3s, allowedNetworks: [10.0.0.0/8]}
backends:
  - {runtime: onnx, repository: models, threads: 1, memoryBudget: 2GiB}
  - {name: gpu, runtime: torch, repository: ../shared, device: "cuda:0", address: "10.0.0.5:9100"}
"""


def test_everything_is_read_into_plain_values(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, FULL))
    assert str(config.listener("http").address) == "0.0.0.0:9010"
    assert str(config.listener("discovery").address) == "[::1]:9013"
    assert str(config.listener("grpc").address) == "127.0.0.1:8011"
    assert config.limits.idle_timeout == 0.5
    assert config.discovery.allowed_networks == (ip_network("10.0.0.0/8"),)
    assert config.backends[0].memory_budget == 2 << 30
    assert config.backends[1].address == Address("10.0.0.5", 9100)


def test_relative_paths_are_relative_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, FULL)
    monkeypatch.chdir(tmp_path.parent)
    config = load_config(Path(tmp_path.name) / "penstock.yaml")
    tls = config.listeners.http.tls
    assert tls is not None
    assert (tls.certificate, tls.key) == (tmp_path / "tls/c.pem", Path("/etc/k.pem"))
    assert config.issuers[0].secret_file == tmp_path / ".penstock/secret"
    assert os.path.normpath(config.backends[1].repository) == str(tmp_path.parent / "shared")


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("limitss: {}", 3, '"limits"'),
        ("limits: {header_bytes: 1KiB}", 3, '"headerBytes"'),
        ("limits:\n  body: 64", 4, "number with its unit"),
        ("limits:\n  body: 0B", 4, "more than zero"),
        ("timeouts:\n  total: 5seconds", 4, "one of us, ms, s"),
        ("workers: 0", 3, "greater than 0"),
        ("workers: '2'", 3, "valid integer"),
        ("listeners: {http: {address: 8000}}", 3, "host:port"),
        (
            "listeners: {http: {address: '127.0.0.1:8001'}}",
            3,
            "two have the address 127",
        ),
        ("portOffset: 60000", 3, "beyond the last port"),
        ("discovery: {allowedNetworks: [10.0.0.1/8]}", 3, "has host bits set"),
        ("exchange: {tls: {ca: a, key: k}}", 3, "certificate and key go together"),
        ("issuers: [{name: a, issuer: b, algorithm: HS256}]", 3, "takes secretFile"),
        (
            "issuers:\n- {name: a, issuer: b, algorithm: HS256, secretFile: s}\n"
            "- {name: c, issuer: b, algorithm: HS256, secretFile: s}",
            3,
            "issuers: two have the issuer b",
        ),
        ("backends: [{runtime: onnx}]", 3, "takes a repository"),
        ("backends: [{runtime: onnx, repository: m, memoryBudget: 2}]", 3, "number with its unit"),
    ],
)
def test_errors_name_file_line_and_what_was_meant(
    tmp_path: Path, text: str, line: int, sentence: str
) -> None:
    error = refused(tmp_path, text)
    assert error.source == str(tmp_path / "penstock.yaml")
    assert (error.line, sentence in str(error)) == (line, True), str(error)


def test_an_unknown_version_or_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "penstock.yaml"
    path.write_text("apiVersion: penstock/v9\nkind: Route\n")
    with pytest.raises(ConfigError, match="penstock/v1"):
        load_config(path)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "penstock.yaml")
    (tmp_path / "penstock.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load_config(tmp_path / "penstock.yaml")


def test_the_schema_has_the_file_s_names_and_defaults() -> None:
    published = schema()
    assert published["$schema"].endswith("2020-12/schema")
    assert "portOffset" in published["properties"]
    limits = published["$defs"]["Limits"]["properties"]
    assert limits["headerBytes"]["default"] == "16KiB"
    assert published["additionalProperties"] is False


def test_a_configuration_cannot_be_changed() -> None:
    config = Config.model_validate({"apiVersion": "penstock/v1", "kind": "Penstock"})
    with pytest.raises(ValueError, match="frozen"):
        config.workers = 3  # type: ignore[misc]
