"""Tokens that prove nothing: one answer for all of them, on every face, and nothing is fetched."""

import asyncio
import time
from collections.abc import Iterable

import grpc
import httpx
import jwt
import pytest
from grpc import aio

from chaos.mesh import Mesh
from tests.conformance.corpus.issuers import PUBLISHED, Issuers
from tests.conformance.corpus.token_cases import bad_tokens, claims, good_tokens
from tests.conformance.corpus.wire import WAIT, request
from tests.gateway.http.raw_http import answers

SERVER = "/inference.GRPCInferenceService/ServerMetadata"
JOIN = "/penstock.v1.Discovery/Join"
COOLDOWN = 30.0  # seconds between two attempts to fetch keys
AT_ONCE = 32


@pytest.fixture(scope="module")
def secret(mesh: Mesh) -> bytes:
    return mesh.secret.read_bytes().strip()


async def _over_http(port: int, target: str, tokens: Iterable[str]) -> list[tuple[int, bytes]]:
    """Status and body for each, all on raw sockets, as clients won't send some of them."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(token: str) -> tuple[int, bytes]:
        async with room:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            written = token.encode("utf-8", "surrogatepass")
            writer.write(request(target.encode(), b"Connection: close", token=written))
            (answer,) = answers(await reader.read())
            writer.close()
            return answer.status, answer.body

    return list(await asyncio.gather(*map(one, tokens)))


async def _over_grpc(address: str, call: str, tokens: Iterable[str]) -> list[tuple[str, str]]:
    """Code and details for each."""
    async with aio.insecure_channel(address) as channel:

        async def one(token: str) -> tuple[str, str]:
            metadata = (("authorization", f"Bearer {token}"),)
            try:
                if call == JOIN:
                    await channel.stream_stream(call)(metadata=metadata, timeout=WAIT).read()
                else:
                    await channel.unary_unary(call)(b"", metadata=metadata, timeout=WAIT)
            except aio.AioRpcError as error:
                return error.code().name, error.details() or ""
            return "OK", ""

        return list(await asyncio.gather(*map(one, tokens)))


def _wrong(names: Iterable[str], found: list[tuple[object, object]], due: object) -> list[str]:
    return [f"{name}: {got}" for name, got in zip(names, found, strict=True) if got != due]


def test_what_is_spoilt_below_is_good(mesh: Mesh, secret: bytes, issuers: Issuers) -> None:
    for name, token in good_tokens(secret, issuers).items():
        headers = {"authorization": f"Bearer {token}"}
        assert httpx.get(f"{mesh.url}/v2", headers=headers).status_code == 200, name


@pytest.mark.parametrize(
    ("face", "target"), [("http", "/v2"), ("http", "/v1/models"), ("admin", "/metrics")]
)
def test_http_answers_all_of_them_alike(
    mesh: Mesh, secret: bytes, issuers: Issuers, face: str, target: str
) -> None:
    bad = bad_tokens(secret, issuers)
    found = asyncio.run(_over_http(mesh.ports[face], target, ["rubbish", *bad.values()]))
    due = found[0]
    assert due[0] == 401
    assert not _wrong(bad, found[1:], due)


@pytest.mark.parametrize(("face", "call"), [("grpc", SERVER), ("discovery", JOIN)])
def test_grpc_answers_all_of_them_alike(
    mesh: Mesh, secret: bytes, issuers: Issuers, face: str, call: str
) -> None:
    # Metadata is printable ASCII: nothing else can be sent.
    bad = {
        name: token
        for name, token in bad_tokens(secret, issuers).items()
        if token.isascii() and token.isprintable()
    }
    found = asyncio.run(_over_grpc(mesh.address(face), call, bad.values()))
    due = (grpc.StatusCode.UNAUTHENTICATED.name, "a valid bearer token is required")
    assert not _wrong(bad, found, due)


def test_no_token_makes_the_gateway_fetch_what_it_names(issuers: Issuers) -> None:
    assert set(issuers.asked) <= {"/keys"}


def test_a_flood_of_unknown_keys_costs_a_fetch_in_thirty_seconds(
    mesh: Mesh, issuers: Issuers
) -> None:
    begun, before = time.monotonic(), len(issuers.asked)
    flood = [
        jwt.encode(claims(PUBLISHED), issuers.published, "ES256", {"kid": f"key {number}"})
        for number in range(300)
    ]
    found = asyncio.run(_over_http(mesh.ports["http"], "/v2", flood))
    assert {status for status, _ in found} == {401}
    # One was due perhaps, and the regular one may fall into this time.
    assert len(issuers.asked) - before <= 2 + (time.monotonic() - begun) / COOLDOWN
    token = jwt.encode(claims(PUBLISHED), issuers.published, "ES256", {"kid": "one"})
    headers = {"authorization": f"Bearer {token}"}
    assert httpx.get(f"{mesh.url}/v2", headers=headers).status_code == 200
