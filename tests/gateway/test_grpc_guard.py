"""Who calls, over real gRPC: by token, by key, by certificate."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio

from gateway.grpc_guard import Guard, credential_of, names_of
from protos.errors import Kind, PenstockError
from protos.principal import Principal
from protos.tls import ClientTls, ServerTls, channel_credentials
from protos.tls_files import followed_configuration, renewed_credentials
from tests.pki import Authority

WAIT = 30.0


class Known:
    """An authenticator that knows one key, and certificates if it is told so."""

    def __init__(self, *, knows_certificates: bool) -> None:
        self.knows_certificates = knows_certificates
        self.waited = 0
        self.strangers: list[str] = []

    def __call__(self, authorization: str | bytes, names: Sequence[str] = ()) -> Principal:
        if authorization == b"Bearer pk_a":
            return Principal("by key", "t", frozenset())
        if not authorization and names:
            return Principal(",".join(names), "t", frozenset())
        raise PenstockError(Kind.UNAUTHENTICATED, "who?")

    def refused(self, face: str, peer: str, error: PenstockError) -> None:
        self.strangers.append(f"{face} {peer.partition(':')[0]} {error.message}")

    async def admit(self, authorization: str | bytes, names: Sequence[str] = ()) -> Principal:
        self.waited += 1
        return self(authorization, names)


class Server:
    def __init__(self, known: Known, port: int, trust: ClientTls) -> None:
        self.known = known
        self._address = f"localhost:{port}"
        self._trust = trust

    async def silent(self, *metadata: tuple[str, str]) -> grpc.StatusCode:
        """How a call ends whose message never comes: only its head is sent."""
        channel = aio.secure_channel(self._address, channel_credentials(self._trust))
        async with channel, asyncio.timeout(WAIT):
            return await channel.stream_unary("/test.Who/Asks")(metadata=metadata).code()

    async def who(self, *metadata: tuple[str, str]) -> str:
        channel = aio.secure_channel(self._address, channel_credentials(self._trust))
        async with channel:
            answer: bytes = await channel.unary_unary("/test.Who/Asks")(b"", metadata=metadata)
            return answer.decode()


@pytest.fixture(params=[True, False], ids=["certificates", "no certificates"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    authority = Authority(tmp_path)
    ours, theirs = authority.issue("gateway"), authority.issue("fraud.example")
    known = Known(knows_certificates=request.param)

    async def who(message: bytes, context: Any) -> bytes:
        try:
            credential = credential_of(context.invocation_metadata())
            return known(credential, names_of(context)).subject.encode()
        except PenstockError as error:
            await context.abort(error.row.grpc, error.message)
            raise

    handlers = {"Asks": grpc.unary_unary_rpc_method_handler(who)}
    serving = aio.server(interceptors=(Guard(known, known.refused),))
    serving.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Who", handlers),))
    files = {"certificate": ours.certificate, "key": ours.key, "clientCa": authority.certificate}
    tls = followed_configuration("grpc", ServerTls.model_validate(files))
    port = serving.add_secure_port("localhost:0", renewed_credentials(tls, mutual=True))
    await serving.start()
    shown = ClientTls(ca=authority.certificate, certificate=theirs.certificate, key=theirs.key)
    yield Server(known, port, shown)
    await serving.stop(0)


async def refused(server: Server, *metadata: tuple[str, str]) -> bool:
    with pytest.raises(aio.AioRpcError) as caught:
        await server.who(*metadata)
    return caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_certificate_speaks_for_a_call_without_a_credential(server: Server) -> None:
    if server.known.knows_certificates:
        assert await server.who() == "DNS:fraud.example,DNS:localhost"
    else:
        assert await refused(server)


async def test_a_key_may_come_either_way(server: Server) -> None:
    assert await server.who(("x-api-key", "pk_a")) == "by key"
    assert await server.who(("authorization", "Bearer pk_a")) == "by key"
    assert server.known.waited == 2


@pytest.mark.parametrize(
    "metadata",
    [
        [("authorization", "Bearer wrong")],
        [("x-api-key", "wrong")],
        [("authorization", "Bearer pk_a"), ("x-api-key", "pk_a")],
        [("authorization", "Bearer pk_a"), ("authorization", "Bearer pk_a")],
    ],
    ids=str,
)
async def test_a_wrong_or_second_credential_is_refused_whatever_the_certificate(
    server: Server, metadata: list[tuple[str, str]]
) -> None:
    assert await refused(server, *metadata)
    (stranger,) = server.known.strangers
    assert stranger in ("grpc ipv4 who?", "grpc ipv6 who?")


async def test_strangers_are_refused_before_they_have_sent_a_message(server: Server) -> None:
    assert await server.silent(("x-api-key", "wrong")) is grpc.StatusCode.UNAUTHENTICATED
