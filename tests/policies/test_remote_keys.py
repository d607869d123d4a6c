"""Keys over real HTTPS: rotation, outages, misbehaving servers and floods."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest

from policies import key_ring, remote_keys
from policies.authenticate import Authenticator
from policies.issuers import Issuer
from policies.remote_keys import MAX_BYTES, RemoteKeys
from protos.errors import PenstockError
from tests.pki import Authority
from tests.policies.issuer_keys import NOW, claims, jwk, private_key, segment
from tests.policies.key_server import (
    Answer,
    KeyServer,
    answering,
    dripping,
    endless,
    hanging,
    reply,
    tls,
)

KEYS = {kid: private_key("ES256") for kid in ("one", "two", "three")}


def token(kid: str, **changes: object) -> bytes:
    return jwt.encode(claims(**changes), KEYS[kid], "ES256", {"kid": kid}).encode()


def unknown(kid: str) -> str:
    """A stranger's token: all is right with it but the key."""
    header = {"alg": "ES256", "kid": kid}
    return f"Bearer {segment(header)}.{segment(claims())}.{segment(b'x' * 64)}"


def public(kid: str) -> dict[str, Any]:
    return jwk(KEYS[kid], "ES256", kid)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture
async def server(authority: Authority) -> AsyncIterator[KeyServer]:
    async with KeyServer().serving(tls(authority)) as serving:
        serving.serve_keys(public("one"))
        yield serving


@pytest.fixture
def issuer(server: KeyServer, authority: Authority) -> Issuer:
    return described(authority, jwksUrl=server.url())


def described(authority: Authority, **changes: object) -> Issuer:
    settings: dict[str, object] = {
        "name": "company",
        "issuer": "https://login.example",
        "algorithm": "ES256",
        "fetch": {"ca": authority.certificate},
    }
    return Issuer.model_validate(settings | changes)


@asynccontextmanager
async def started(issuer: Issuer) -> AsyncIterator[Authenticator]:
    verify = Authenticator([issuer], lambda: NOW)
    await verify.start()
    try:
        yield verify
    finally:
        await verify.close()


async def served(verify: Authenticator, value: bytes) -> None:
    """Until a face that can't wait for keys is served."""
    async with asyncio.timeout(5):
        while True:
            try:
                verify.verify(value, NOW)
                return
            except PenstockError:
                await asyncio.sleep(0.01)


@pytest.fixture
def no_cooldown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_ring, "COOLDOWN", 0.0)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_keys, "ATTEMPT_TIMEOUT", 0.2)


async def test_a_token_is_verified_with_the_published_key(issuer: Issuer) -> None:
    async with started(issuer) as verify:
        assert verify.verify(token("one"), NOW).subject == "ann"
        forged = jwt.encode(claims(), KEYS["two"], "ES256", {"kid": "one"}).encode()
        with pytest.raises(PenstockError):
            verify.verify(forged, NOW)


async def test_a_new_key_counts_without_a_restart_and_an_old_one_no_longer(
    server: KeyServer, issuer: Issuer, no_cooldown: None
) -> None:
    async with started(issuer) as verify:
        old = token("one")
        verify.verify(old, NOW)

        server.serve_keys(public("one"), public("two"))
        assert (await verify.admit(b"Bearer " + token("two"))).subject == "ann"
        assert verify.verify(old, NOW)

        server.serve_keys(public("two"), public("three"))
        await verify.admit(b"Bearer " + token("three"))
        with pytest.raises(PenstockError):  # although it had been verified and remembered
            verify.verify(old, NOW)
        assert len(server.asked) == 3


async def test_a_face_that_cannot_wait_refuses_first_and_then_serves(
    server: KeyServer, issuer: Issuer, no_cooldown: None
) -> None:
    async with started(issuer) as verify:
        server.serve_keys(public("two"))
        with pytest.raises(PenstockError):
            verify(b"Bearer " + token("two"))
        await served(verify, token("two"))


async def test_a_thousand_requests_with_a_new_key_cost_one_fetch(
    server: KeyServer, issuer: Issuer, no_cooldown: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("policies.authenticate.MAX_WAITING", 1000)
    async with started(issuer) as verify:
        server.serve_keys(public("one"), public("two"))
        header = b"Bearer " + token("two")
        principals = await asyncio.gather(*(verify.admit(header) for _ in range(1000)))
        assert {each.subject for each in principals} == {"ann"}
        assert len(server.asked) == 2


async def test_a_flood_of_unknown_keys_costs_no_fetch_and_nobody_waits(
    server: KeyServer, issuer: Issuer
) -> None:
    async with started(issuer) as verify:
        begun = time.perf_counter()
        flood = (verify.admit(unknown(f"kid-{number}")) for number in range(3000))
        answers = await asyncio.gather(*flood, return_exceptions=True)
        took = time.perf_counter() - begun
        assert all(isinstance(each, PenstockError) for each in answers)
        assert len(server.asked) == 1  # the one at the start was less than 30 s ago
        assert took < 3.0
        assert verify.verify(token("one"), NOW)


async def test_a_lasting_flood_costs_one_fetch_in_each_cooldown(
    server: KeyServer, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_ring, "COOLDOWN", 0.3)
    async with started(issuer) as verify:
        end = time.monotonic() + 0.8
        number = 0
        while time.monotonic() < end:
            number += 1
            with pytest.raises(PenstockError):
                await verify.admit(unknown(f"kid-{number}"))
            await asyncio.sleep(0)
        assert number > 100
        assert 2 <= len(server.asked) <= 3


FAULTS: dict[str, Answer | bytes] = {
    "it fails": answering(reply(b"", "500 Oops")),
    "it hangs": hanging,
    "it drips": dripping,
    "it never ends": endless,
    "it redirects": answering(reply(b"", "302 Found", "location: /other")),
    "it redirects for good": answering(reply(b"", "308 Moved", "location: /other")),
    "it cuts": answering(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"),
    "it says nothing": answering(b""),
    "it isn't HTTP": answering(b"SSH-2.0-OpenSSH\r\n"),
    "it compresses": answering(
        reply(gzip.compress(b" " * 10_000_000), "200 OK", "content-encoding: gzip")
    ),
    "it is large": b" " * (MAX_BYTES + 1),
    "it isn't JSON": b"<html>",
    "it is nested": b"[" * 100_000,
    "it is no key set": b'{"error": "maintenance"}',
    "it has no keys": b'{"keys": []}',
    "it has other keys": json.dumps({"keys": [jwk(private_key("RS256"), "RS256", "r")]}).encode(),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_known_keys_count_while_the_server_misbehaves(
    server: KeyServer, issuer: Issuer, no_cooldown: None, impatient: None, fault: str
) -> None:
    server.serve_keys(public("three"), path="/other")
    async with started(issuer) as verify:
        server.answers["/keys"] = FAULTS[fault]
        begun = time.perf_counter()
        with pytest.raises(PenstockError, match="a valid bearer token is required"):
            await verify.admit(b"Bearer " + token("three"))
        assert time.perf_counter() - begun < 2.0
        assert "/other" not in server.asked
        assert verify.failing == 1
        assert verify.verify(token("one"), NOW)

        server.serve_keys(public("one"), public("two"))
        await served(verify, token("two"))
        assert verify.failing == 0


async def test_a_server_that_is_down_at_the_start_is_asked_again(
    server: KeyServer, issuer: Issuer, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_ring, "FIRST_RETRY", 0.05)
    server.answers["/keys"] = hanging
    async with started(issuer) as verify:
        with pytest.raises(PenstockError):
            verify.verify(token("one"), NOW)
        server.serve_keys(public("one"))
        await served(verify, token("one"))


async def test_keys_that_could_not_be_fetched_for_too_long_stop_counting(
    server: KeyServer, issuer: Issuer
) -> None:
    now = 0.0
    keys = RemoteKeys(issuer, clock=lambda: now)
    changes: list[float] = []
    keys.on_change = lambda: changes.append(now)
    await keys.look()
    found = keys.find("one")
    assert found is not None
    server.answers["/keys"] = answering(reply(b"", "503 Down"))
    for now in (3600.0, 86400.0):  # noqa: B007 (the clock reads it)
        await keys.look()
        assert keys.find("one") == found
        assert keys.holds(found)
    now = 86401.0
    assert keys.find("one") is None
    await keys.look()
    assert not keys.holds(found)
    assert changes == [0.0, 86401.0]


async def test_a_certificate_of_a_stranger_is_not_trusted(
    server: KeyServer, tmp_path: Path
) -> None:
    keys = RemoteKeys(described(Authority(tmp_path), jwksUrl=server.url()))
    await keys.look()
    assert keys.find("one") is None
    assert server.asked == []


async def test_the_usual_authorities_alone_are_trusted_by_default(server: KeyServer) -> None:
    settings = {"name": "a", "issuer": "b", "algorithm": "ES256", "jwksUrl": server.url()}
    keys = RemoteKeys(Issuer.model_validate(settings))
    await keys.look()
    assert keys.find("one") is None
    assert server.asked == []


def test_an_unusable_authority_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    settings = {"name": "idp", "issuer": "b", "algorithm": "ES256", "jwksUrl": "https://a"}
    issuer = Issuer.model_validate(settings | {"fetch": {"ca": path}})
    for _ in range(2):
        with pytest.raises(PenstockError, match=r'the fetch\.ca of issuer "idp" is not usable'):
            RemoteKeys(issuer)
        path.write_text("rubbish")


async def test_plain_text_is_for_loopback_in_development() -> None:
    async with KeyServer().serving(None) as server:
        server.serve_keys(public("one"))
        settings = {
            "name": "dev",
            "issuer": "https://login.example",
            "algorithm": "ES256",
            "jwksUrl": server.url(scheme="http"),
            "development": True,
        }
        async with started(Issuer.model_validate(settings)) as verify:
            assert verify.verify(token("one"), NOW)


async def test_no_proxy_is_taken_from_the_environment(
    server: KeyServer, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with started(issuer) as verify:
        assert verify.verify(token("one"), NOW)


METADATA = {
    "oidc": "/realm/.well-known/openid-configuration",
    "oauth2": "/.well-known/oauth-authorization-server/realm",
}


@pytest.mark.parametrize("kind", METADATA)
async def test_the_issuers_metadata_says_where_its_keys_are(
    server: KeyServer, authority: Authority, kind: str
) -> None:
    name = server.url("/realm")
    document = {"issuer": name, "jwks_uri": server.url("/keys")}
    server.answers[METADATA[kind]] = json.dumps(document).encode()
    async with started(described(authority, issuer=name, discovery=kind)) as verify:
        assert verify.verify(token("one", iss=name), NOW)
        assert server.asked == [METADATA[kind], "/keys"]


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://other.example"},
        {"issuer": None},
        {"jwks_uri": None},
        {"jwks_uri": 7},
        {"jwks_uri": "http://127.0.0.1/keys"},
        {"jwks_uri": "ftp://127.0.0.1/keys"},
        {"jwks_uri": "/keys"},
    ],
    ids=str,
)
async def test_metadata_that_cannot_be_trusted_names_no_keys(
    server: KeyServer, authority: Authority, changes: dict[str, object]
) -> None:
    name = server.url("/realm")
    document = {"issuer": name, "jwks_uri": server.url("/keys"), **changes}
    server.answers[METADATA["oidc"]] = json.dumps(document).encode()
    keys = RemoteKeys(described(authority, issuer=name, discovery="oidc"))
    await keys.look()
    assert keys.find("one") is None
    assert server.asked == [METADATA["oidc"]]


async def test_keys_that_moved_are_found_again(server: KeyServer, authority: Authority) -> None:
    name = server.url("/realm")

    def published(path: str) -> None:
        document = {"issuer": name, "jwks_uri": server.url(path)}
        server.answers[METADATA["oidc"]] = json.dumps(document).encode()

    published("/keys")
    keys = RemoteKeys(described(authority, issuer=name, discovery="oidc"))
    await keys.look()
    await keys.look()  # the address is still known
    assert server.asked == [METADATA["oidc"], "/keys", "/keys"]
    del server.answers["/keys"]
    published("/moved")
    server.serve_keys(public("two"), path="/moved")
    await keys.look()
    assert keys.find("two") is None
    await keys.look()
    assert keys.find("two") is not None
