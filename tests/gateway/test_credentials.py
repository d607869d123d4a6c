"""What `penstock up` signs for itself and for those who read its files."""

import stat
from pathlib import Path

import pytest

from gateway.config import Config, load_config
from gateway.credentials import Credentials
from policies.authenticate import Authenticator
from protos.principal import Principal

CONFIG = """
apiVersion: penstock/v1
kind: Penstock
stateFolder: state
issuers:
  - {name: dev, issuer: dev, algorithm: HS256, secretFile: secrets/secret, development: true}
"""
NOW = 1_800_000_000.0
HOUR = 3600.0


@pytest.fixture
def config(tmp_path: Path) -> Config:
    file = tmp_path / "penstock.yaml"
    file.write_text(CONFIG)
    return load_config(file)


def principal(config: Config, token: str, now: float = NOW) -> Principal:
    return Authenticator(config.issuers, lambda: now)(f"Bearer {token}")


def test_the_files_hold_a_clients_token_and_a_backends(config: Config):
    credentials = Credentials(config)
    credentials.renew(NOW)
    client = principal(config, credentials.token_file.read_text().strip())
    backend = principal(config, credentials.join_token_file.read_text().strip())
    assert client.scopes == {"infer:*"}
    assert backend.scopes == {"backend:join"}
    for file in (credentials.token_file, credentials.join_token_file):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_files_are_written_anew_long_before_their_tokens_expire(config: Config):
    credentials = Credentials(config)
    credentials.renew(NOW)
    first = credentials.token_file.read_text()
    credentials.renew(NOW + 11 * HOUR)
    assert credentials.token_file.read_text() == first
    credentials.renew(NOW + 13 * HOUR)
    second = credentials.token_file.read_text()
    assert second != first
    principal(config, second.strip(), NOW + 36 * HOUR)


def test_an_administrators_token_is_for_minutes(config: Config):
    token = Credentials(config).admin(NOW)
    assert principal(config, token).has("admin")
    with pytest.raises(Exception, match="a valid bearer token is required"):
        principal(config, token, NOW + HOUR)


def test_the_same_secret_serves_every_run(config: Config):
    token = Credentials(config).admin(NOW)
    Credentials(config)
    assert principal(config, token).tenant == "development"
