"""Which credential of a request counts, and what the client learns when none does."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from policies.api_keys import KeyBook, make_key
from policies.authenticate import MAX_WAITING, SEVERAL, Authenticator, authorization, bearer
from policies.bearer_tokens import BearerTokens, KeyMissing
from policies.last_good import LastGood
from policies.mtls import CertificateIdentity, Certificates
from protos.errors import Kind, PenstockError
from tests.policies.issuer_keys import NOW, claims, secret_issuer, token_of

SECRET = b"s" * 32
STORED, KEY = make_key(
    SECRET, name="ci", tenant="acme", scopes=["infer:*"], lifetime=60.0, now=NOW, by="ann"
)
SERVICE = CertificateIdentity.model_validate(
    {"san": "URI:spiffe://prod/fraud", "tenant": "risk", "scopes": ("infer:fraud",)}
)


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(PenstockError) as caught:
        call()
    assert caught.value.kind is Kind.UNAUTHENTICATED
    assert caught.value.message == "a valid bearer token is required"
    return str(caught.value.__cause__)


def accepts(verify: Authenticator, token: bytes) -> bool:
    try:
        return verify.verify(token, NOW) is not None
    except PenstockError:
        return False


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (what it waits for tells nobody)
            await asyncio.sleep(0.01)


def everything(folder: Path, keys: LastGood[KeyBook] | None = None) -> Authenticator:
    book = keys or LastGood(lambda: KeyBook.of(SECRET, [STORED]), "keys", interval=1.0, keep=1.0)
    if keys is None:
        book.load()
    return Authenticator(
        [secret_issuer(folder)],
        lambda: NOW,
        api_keys=book,
        certificates=Certificates([SERVICE]),
    )


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_has_no_case(scheme: str) -> None:
    assert bearer(f"{scheme}  abc ") == b"abc"


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Basic abc", "abc", "Bearer\tabc", "Bearér a"]
)
def test_other_schemes_and_no_token_are_refused(value: str) -> None:
    refused(lambda: bearer(value))


ONE = (b"authorization", b"Bearer a")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [ONE, ONE],
        [ONE, (b"authorization", b"")],
        [(b"authorization", b""), ONE],
        [ONE, (b"x-api-key", b"pk_a")],
        [(b"x-api-key", b"pk_a"), (b"x-api-key", b"pk_a")],
    ],
    ids=str,
)
def test_exactly_one_credential_counts(headers: list[tuple[bytes, bytes]]) -> None:
    assert authorization([(b"host", b"h"), ONE]) == b"Bearer a"
    refused(lambda: bearer(authorization(headers)))


def test_an_api_key_may_come_in_a_header_of_its_own_and_nothing_else_may() -> None:
    assert bearer(authorization([(b"x-api-key", b"pk_a")])) == b"pk_a"
    refused(lambda: bearer(authorization([(b"x-api-key", b"aaaa.bbbb.cccc")])))


def test_each_kind_of_credential_has_its_principal(tmp_path: Path) -> None:
    verify = everything(tmp_path)
    assert verify(b"Bearer " + token_of(claims())).issuer == "company"
    assert verify(f"Bearer {KEY}").subject == "ci"
    assert verify(b"", ("URI:spiffe://prod/fraud",)).tenant == "risk"


@pytest.mark.parametrize(
    "shown", [b"Bearer rubbish", b"several", b"Basic YTpi", b"x-api-key a.b.c", b"Bearer pk_no"]
)
def test_a_certificate_never_speaks_for_a_credential_that_is_wrong(
    tmp_path: Path, shown: bytes
) -> None:
    verify = everything(tmp_path)
    refused(lambda: verify(shown, ("URI:spiffe://prod/fraud",)))


def test_nothing_is_known_of_credentials_that_are_not_configured(tmp_path: Path) -> None:
    verify = Authenticator([secret_issuer(tmp_path)], lambda: NOW)
    assert "not accepted" in refused(lambda: verify(f"Bearer {KEY}"))
    assert "no bearer token" in refused(lambda: verify(b"", ("URI:spiffe://prod/fraud",)))
    assert "several credentials" in refused(lambda: verify(SEVERAL))
    assert not verify.knows_certificates


def test_api_keys_are_refused_while_the_list_of_them_was_never_read(tmp_path: Path) -> None:
    keys: LastGood[KeyBook] = LastGood(lambda: KeyBook(b"", {}), "keys", interval=1.0, keep=1.0)
    verify = everything(tmp_path, keys)
    assert "not known" in refused(lambda: verify(f"Bearer {KEY}"))


async def test_withdrawn_tokens_stop_counting_although_they_are_remembered(tmp_path: Path) -> None:
    listed: set[tuple[str, str]] = set()
    revoked: LastGood[frozenset[tuple[str, str]]] = LastGood(
        lambda: frozenset(listed), "list", interval=0.01, keep=60.0
    )
    verify = Authenticator([secret_issuer(tmp_path)], lambda: NOW, revoked=revoked)
    withdrawn, other = token_of(claims(jti="7")), token_of(claims(jti="8"))
    assert "isn't known which" in refused(lambda: verify.verify(withdrawn, NOW))

    await verify.start()
    kept = verify.verify(other, NOW)
    verify.verify(withdrawn, NOW)
    listed.add(("company", "7"))
    await until(lambda: not accepts(verify, withdrawn))
    assert "withdrawn" in refused(lambda: verify.verify(withdrawn, NOW))
    assert verify.verify(other, NOW) is kept  # the others are still remembered
    assert verify.verify(token_of(claims(iss="https://login.example", sub="bob")), NOW)
    await verify.close()


async def test_a_key_in_a_file_is_exchanged_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("policies.authenticate.FILE_INTERVAL", 0.01)
    verify = Authenticator([secret_issuer(tmp_path)], lambda: NOW)
    old, new = token_of(claims()), token_of(claims(), secret=b"another secret of 32 bytes length")
    await verify.start()
    verify.verify(old, NOW)
    refused(lambda: verify.verify(new, NOW))

    (tmp_path / "secret").write_bytes(b"another secret of 32 bytes length")
    await until(lambda: accepts(verify, new))
    refused(lambda: verify.verify(old, NOW))
    (tmp_path / "secret").unlink()
    await asyncio.sleep(0.05)
    assert verify.verify(new, NOW)  # the last good one
    await verify.close()


async def test_no_more_requests_wait_for_keys_than_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    news = asyncio.Event()

    def unknown(self: BearerTokens, token: bytes, now: float) -> None:
        error = PenstockError(Kind.UNAUTHENTICATED, "a valid bearer token is required")
        raise error from KeyMissing("company", news)

    monkeypatch.setattr(BearerTokens, "verify", unknown)
    verify = Authenticator([secret_issuer(tmp_path)], lambda: NOW)
    waiting = [asyncio.create_task(verify.admit("Bearer a")) for _ in range(MAX_WAITING + 50)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert sum(task.done() for task in waiting) == 50
    for task in waiting[:10]:
        task.cancel()
    news.set()
    done = await asyncio.gather(*waiting, return_exceptions=True)
    assert sum(isinstance(each, PenstockError) for each in done) == len(waiting) - 10


@pytest.mark.parametrize("kind", ["token", "API key"])
def test_what_is_known_costs_microseconds(tmp_path: Path, kind: str) -> None:
    verify = everything(tmp_path)
    value = b"Bearer " + (token_of(claims()) if kind == "token" else KEY.encode())
    verify(value)
    best = min(_time_of(lambda: verify(value), 2000) for _ in range(5))
    assert best < 20e-6  # 2 µs on an idle machine; an order of magnitude for a busy one


def _time_of(call: Callable[[], object], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times
