"""The life of a server: errors, clients that leave, sockets, draining, TLS."""

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.http.body import on_disconnect, watch_disconnect
from gateway.http.rescue import rescue_handlers
from gateway.http.server import bind, serve
from gateway.listening import Limits
from protos.errors import Kind, PenstockError
from protos.quantities import Address
from protos.tls import ServerTls
from tests.gateway.http.raw_http import Echo, one, reply, running, talk, until
from tests.pki import Authority, Pair

GET = b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_an_error_that_nobody_caught_is_opaque(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("secret")

    async with running(broken) as server:
        with caplog.at_level(logging.ERROR):
            answer = await one(server, GET)
    assert answer.status == 500
    incident = answer.json["error"].removeprefix("internal error, incident ")
    assert len(incident) == 16
    assert incident in caplog.text


async def test_what_starlette_answered_and_raises_on_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(request: Request) -> Response:
        raise ValueError("secret")

    app = Starlette(routes=[Route("/v2", broken)], exception_handlers=rescue_handlers())
    async with running(app) as server:
        with caplog.at_level(logging.ERROR):
            answer = await one(server, GET)
    assert answer.json["error"].removeprefix("internal error, incident ") in caplog.text
    assert caplog.text.count("a request failed") == 1


async def test_a_penstock_error_has_its_status_and_sentence() -> None:
    async def busy(scope: Scope, receive: Receive, send: Send) -> None:
        raise PenstockError(Kind.OVERLOADED, "come back", retry_after=2.0)

    async with running(busy) as server:
        found = await talk(server, GET)
        assert [answer.status for answer in found] == [503]
        assert found[0].json == {"error": "come back"}
        assert found[0].headers["retry-after"] == "2"
        assert "connection" not in found[0].headers


async def test_a_broken_reply_never_looks_complete() -> None:
    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        raise ValueError("secret")

    async with running(half) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET)
        received = await asyncio.wait_for(reader.read(-1), 2)
        writer.close()
    assert received.endswith(b"3\r\nabc\r\n")


async def test_a_client_that_goes_away_cancels_the_work_at_once() -> None:
    cancelled: list[float] = []
    started = asyncio.Event()

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        watch_disconnect(scope)
        started.set()
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            cancelled.append(time.monotonic())
            raise

    async with running(waits) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET)
        await asyncio.wait_for(started.wait(), 2)
        left = time.monotonic()
        writer.close()
        await until(lambda: bool(cancelled))
        assert cancelled[0] - left < 0.1


async def test_a_callback_is_called_once_and_only_before_the_reply_is_complete() -> None:
    calls: list[str] = []
    release = asyncio.Event()

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        on_disconnect(scope, lambda: calls.append(scope["path"]))
        if scope["path"] == "/wait":
            await release.wait()
            on_disconnect(scope, lambda: calls.append("late"))
        await reply(send, "done")

    async with running(waits) as server:
        await one(server, GET)
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET.replace(b"/v2", b"/wait"))
        await until(lambda: server.connections == 1)
        await asyncio.sleep(0.05)
        writer.close()
        await until(lambda: calls == ["/wait"])
        release.set()
        await until(lambda: calls == ["/wait", "late"])


async def test_a_pipelined_client_that_goes_away_cancels_the_running_request() -> None:
    calls: list[str] = []

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        on_disconnect(scope, lambda: calls.append(scope["path"]))
        await asyncio.sleep(0.1)
        await reply(send, "x" * 100)
        await asyncio.sleep(10 if calls else 0)

    async with running(waits) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET.replace(b"/v2", b"/first") + GET.replace(b"/v2", b"/second"))
        await asyncio.sleep(0.15)
        writer.close()
        await until(lambda: calls == ["/second"])


async def test_an_inherited_socket_is_served() -> None:
    listening = bind(Address("127.0.0.1", 0))
    assert listening.get_inheritable()
    server = serve(Echo(), listening, Limits())
    await server.start()
    assert server.port == listening.getsockname()[1]
    assert (await one(server, GET)).status == 200
    await server.drain(0)


def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = Address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(PenstockError, match=f"cannot listen on {address}: Address already"):
            bind(address)


async def test_replies_carry_the_date_and_no_server() -> None:
    async with running(Echo()) as server:
        answer = await one(server, GET)
    assert answer.headers["date"].endswith("GMT")
    assert "server" not in answer.headers


async def test_draining_finishes_replies_and_says_that_the_connection_closes() -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.2)
        await reply(send, "done")

    server = serve(slow, Address("127.0.0.1", 0), Limits())
    await server.start()
    under_way = asyncio.create_task(one(server, GET))
    await until(lambda: server.connections == 1)
    await asyncio.sleep(0.05)
    await server.drain(5)
    answer = await under_way
    assert (answer.json, answer.headers["connection"]) == ("done", "close")
    with pytest.raises(ConnectionRefusedError):
        await talk(server)


async def test_a_request_that_crosses_the_drain_is_still_answered() -> None:
    server = serve(Echo(), Address("127.0.0.1", 0), Limits())
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    await until(lambda: server.connections == 1)
    drain = asyncio.create_task(server.drain(5))
    await asyncio.sleep(0.6)  # for as long as a balancer may not have noticed
    writer.write(GET)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2)
    assert head.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in head
    await asyncio.wait_for(drain, 2)
    writer.close()


async def test_idle_connections_end_soon_when_draining() -> None:
    server = serve(Echo(), Address("127.0.0.1", 0), Limits())
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    await until(lambda: server.connections == 1)
    start = time.monotonic()
    await server.drain(10)
    assert time.monotonic() - start < 8
    assert await reader.read() == b""
    writer.close()


async def test_a_drain_ends_when_its_time_is_over() -> None:
    ended = asyncio.Event()

    async def stuck(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    server = serve(stuck, Address("127.0.0.1", 0), Limits())
    await server.start()
    under_way = asyncio.create_task(talk(server, GET))
    await until(lambda: server.connections == 1)
    await asyncio.sleep(0.05)
    start = time.monotonic()
    await server.drain(0.2)
    assert time.monotonic() - start < 2
    assert ended.is_set()
    with contextlib.suppress(ConnectionResetError):
        assert await under_way == []


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def mutual(authority: Authority, pair: Pair) -> ServerTls:
    files = {"certificate": pair.certificate, "key": pair.key, "clientCa": authority.certificate}
    return ServerTls.model_validate(files)


async def _https(port: int, context: ssl.SSLContext) -> bytes:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost"
    )
    writer.write(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    received = await asyncio.wait_for(reader.read(-1), 5)
    writer.close()
    if not received:
        raise ConnectionError("closed without an answer")
    return received


async def test_tls_with_a_verified_certificate(authority: Authority) -> None:
    pair = authority.issue("gateway")
    echo = Echo()
    async with running(echo, ServerTls(certificate=pair.certificate, key=pair.key)) as server:
        context = ssl.create_default_context(cafile=str(authority.certificate))
        context.set_alpn_protocols(["h2", "http/1.1"])
        assert (await _https(server.port, context)).startswith(b"HTTP/1.1 200")
    assert echo.seen[0]["scheme"] == "https"
    assert echo.seen[0]["extensions"]["tls"]["client_cert_name"] is None


async def test_mutual_tls_tells_who_the_client_is(authority: Authority) -> None:
    pair, client = authority.issue("gateway"), authority.issue("ann")
    tls = mutual(authority, pair)
    echo = Echo()
    async with running(echo, tls) as server:
        context = ssl.create_default_context(cafile=str(authority.certificate))
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await _https(server.port, context)
        context.load_cert_chain(client.certificate, client.key)
        assert (await _https(server.port, context)).startswith(b"HTTP/1.1 200")
    names = echo.seen[0]["extensions"]["tls"]
    assert len(echo.seen) == 1
    assert names["client_cert_name"] == "CN=ann"
    assert "DNS:ann" in names["client_cert_alternative_names"]


async def test_a_stranger_s_certificate_is_refused(authority: Authority, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    pair, stranger = authority.issue("gateway"), Authority(other, "other").issue("mallory")
    tls = mutual(authority, pair)
    echo = Echo()
    async with running(echo, tls) as server:
        context = ssl.create_default_context(cafile=str(authority.certificate))
        context.load_cert_chain(stranger.certificate, stranger.key)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await _https(server.port, context)
    assert echo.seen == []


async def test_old_tls_is_refused(authority: Authority) -> None:
    pair = authority.issue("gateway")
    async with running(Echo(), ServerTls(certificate=pair.certificate, key=pair.key)) as server:
        context = ssl.create_default_context(cafile=str(authority.certificate))
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await _https(server.port, context)


async def test_an_early_reply_over_tls_is_readable(authority: Authority) -> None:
    async def refuses(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, {"error": "no"}, 401)

    pair = authority.issue("gateway")
    async with running(refuses, ServerTls(certificate=pair.certificate, key=pair.key)) as server:
        context = ssl.create_default_context(cafile=str(authority.certificate))
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", server.port, ssl=context, server_hostname="localhost"
        )
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 9999)
        received = await asyncio.wait_for(reader.readuntil(b"}"), 2)
        writer.close()
    assert received.startswith(b"HTTP/1.1 401")
    assert b"connection: close" in received
