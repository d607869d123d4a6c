import pytest
from pydantic import ValidationError

from gateway.state.settings import StateSettings
from protos.quantities import Address
from protos.strict_yaml import ConfigError, load


def test_the_state_lies_in_memory_unless_said_otherwise() -> None:
    assert not StateSettings().shared


def test_a_server_has_an_address_a_user_and_a_database() -> None:
    settings = StateSettings(url="rediss://gate@redis.internal:7000/3")

    assert settings.shared
    assert settings.encrypted
    assert settings.address == Address("redis.internal", 7000)
    assert (settings.user, settings.database) == ("gate", 3)


def test_the_port_and_the_database_have_defaults() -> None:
    settings = StateSettings(url="redis://redis")

    assert settings.address == Address("redis", 6379)
    assert (settings.user, settings.database, settings.encrypted) == (None, 0, False)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("memcached://cache", "is memory://, redis://host:port or rediss://host:port"),
        ("redis://", "is memory://, redis://host:port or rediss://host:port"),
        ("redis://redis:99999", "is not a URL"),
        ("redis://:secret@redis", "holds a password, which belongs into passwordFile"),
        ("redis://redis/0?ssl=no", "takes no options"),
        ("redis://redis/zero", "ends with the number of a database"),
    ],
)
def test_a_wrong_url_is_told(url: str, sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        StateSettings(url=url)
    assert sentence in str(caught.value)


def test_what_only_a_server_has_is_refused_without_one() -> None:
    with pytest.raises(ConfigError, match="passwordFile goes with redis"):
        load("passwordFile: secret", "penstock.yaml", StateSettings)
    with pytest.raises(ConfigError, match="tls goes with rediss"):
        load("{url: redis://redis, tls: {ca: ca.pem}}", "penstock.yaml", StateSettings)
