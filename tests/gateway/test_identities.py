"""The configuration's authenticator follows the record store."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from gateway import identities
from gateway.config import Config, load_config
from gateway.identities import authenticator
from gateway.store.engine import Store, open_store
from policies.api_keys import make_key
from policies.authenticate import Authenticator
from protos.errors import PenstockError
from protos.strict_yaml import ConfigError
from tests.policies.issuer_keys import SECRET, claims, token_of

CONFIG = """
apiVersion: penstock/v1
kind: Penstock
stateFolder: state
issuers:
  - {name: company, issuer: 'https://login.example', algorithm: HS256, secretFile: secret}
apiKeys: {secretFile: secret}
revocation: {store: true, file: revoked}
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "revoked").write_text("company listed\n")
    path = tmp_path / "penstock.yaml"
    path.write_text(CONFIG)
    return load_config(path)


@pytest.fixture
def store(config: Config) -> Store:
    return open_store(config.store_url.render_as_string(hide_password=False))


def knows(verify: Authenticator, credential: bytes) -> bool:
    try:
        verify(b"Bearer " + credential)
    except PenstockError:
        return False
    return True


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def token(jti: str) -> bytes:
    now = time.time()
    return token_of(claims(jti=jti, iat=now, exp=now + 60))


async def test_keys_and_withdrawals_take_effect_while_it_runs(
    config: Config, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identities, "INTERVAL", 0.02)
    verify = authenticator(config, lambda: store)
    await verify.start()
    assert knows(verify, token("7"))
    assert not knows(verify, token("listed"))

    stored, text = make_key(
        SECRET, name="a", tenant="t", scopes=["infer:*"], lifetime=60.0, now=time.time(), by="ann"
    )
    key = text.encode()
    assert not knows(verify, key)
    store.keys.add(stored)
    await until(lambda: knows(verify, key))
    store.keys.revoke(stored.id, "ann", time.time())
    await until(lambda: not knows(verify, key))

    withdrawn = token("7")
    assert knows(verify, withdrawn)
    store.keys.withdraw(("company", "7"), until=time.time() + 60, by="ann", now=time.time())
    await until(lambda: not knows(verify, withdrawn))
    assert knows(verify, token("8"))
    await verify.close()
    store.close()


async def test_a_store_that_takes_anothers_place_counts_though_it_has_as_many_keys(
    config: Config, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identities, "INTERVAL", 0.02)
    restored = open_store(f"sqlite:///{tmp_path}/restored.db")
    texts = []
    for each in (store, restored):
        stored, text = make_key(
            SECRET, name="a", tenant="t", scopes=["infer:*"], lifetime=60.0, now=1e9, by="ann"
        )
        each.keys.add(replace(stored, expires=time.time() + 60))
        texts.append(text.encode())
    opened = [store]
    verify = authenticator(config, lambda: opened[0])
    await verify.start()
    assert [knows(verify, text) for text in texts] == [True, False]
    opened[0] = restored
    await until(lambda: [knows(verify, text) for text in texts] == [False, True])
    await verify.close()
    store.close()
    restored.close()


async def test_without_its_store_it_refuses_what_only_the_store_could_allow(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down() -> Store:
        raise OperationalError("SELECT 1", {}, OSError("down"))

    verify = authenticator(config, down)
    await verify.start()
    assert not knows(verify, token("7"))  # it might be withdrawn
    await verify.close()

    unlisted = config.model_copy(update={"revocation": None})
    verify = authenticator(unlisted, down)
    await verify.start()
    assert knows(verify, token("7"))
    assert not knows(verify, b"pk_a")
    await verify.close()


def test_a_list_that_is_wrong_from_the_start_is_refused(config: Config, tmp_path: Path) -> None:
    (tmp_path / "revoked").write_text("nonsense\n")
    with pytest.raises(PenstockError, match="line 1: is not an issuer and a jti"):
        authenticator(config, lambda: pytest.fail("the store isn't needed for that"))


def test_certificates_that_nobody_could_show_are_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "penstock.yaml"
    identity = "{san: 'DNS:a.example', tenant: t, scopes: ['infer:*']}"
    path.write_text(f"apiVersion: penstock/v1\nkind: Penstock\ncertificates: [{identity}]\n")
    with pytest.raises(ConfigError, match=r"no listener has tls\.clientCa"):
        load_config(path)
