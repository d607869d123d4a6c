"""Bytes that strangers may send, against the real server over real sockets."""

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator

import pytest
from starlette.types import Receive, Scope, Send

from gateway.http.server import HttpServer
from tests.gateway.http.raw_http import Answer, Echo, answers, one, reply, running, talk, until

POST = b"POST /v2 HTTP/1.1\r\nHost: a\r\n"
GET = b"GET /v2 HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
async def echo() -> AsyncIterator[HttpServer]:
    async with running(Echo()) as server:
        yield server


MALFORMED = {
    "length and coding": POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
    "coding and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "the same length twice": POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": POST + b"Content-Length: 3, 3\r\n\r\nabc",
    "plus": POST + b"Content-Length: +3\r\n\r\nabc",
    "minus": POST + b"Content-Length: -3\r\n\r\nabc",
    "hexadecimal length": POST + b"Content-Length: 0x3\r\n\r\nabc",
    "no length": POST + b"Content-Length: \r\n\r\n",
    "overflowing length": POST + b"Content-Length: 99999999999999999999\r\n\r\n",
    "two codings": POST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding of HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "folded line": GET + b"X: a\r\n b\r\n\r\n",
    "folded first line": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "bare LF after a value": GET + b"X: a\nY: b\r\n\r\n",
    "bare LF everywhere": b"GET / HTTP/1.1\nHost: a\n\n",
    "bare CR": GET + b"X: a\rY: b\r\n\r\n",
    "NUL in a value": GET + b"X: a\x00b\r\n\r\n",
    "control in a value": GET + b"X: a\x01b\r\n\r\n",
    "DEL in a value": GET + b"X: a\x7fb\r\n\r\n",
    "space before the colon": GET + b"X : a\r\n\r\n",
    "no name": GET + b": a\r\n\r\n",
    "no colon": GET + b"abc\r\n\r\n",
    "bad name": GET + b"X(y): a\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": GET + b"Host: b\r\n\r\n",
    "Host with a path": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "Host with a user": b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
    "Host with a space": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": bytes.fromhex("16030102000100"),
    "no method": b"/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "unknown method": b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n",
    "method in lower case": b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
    "control in the path": b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
    "not ASCII in the path": b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
    "fragment": b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
    "negative chunk": CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n",
    "overflowing chunk": CHUNKED + b"fffffffffffffffff\r\nabc",
    "chunk longer than said": CHUNKED + b"2\r\nabc\r\n0\r\n\r\n",
    "bare LF in chunks": CHUNKED + b"3\nabc\n0\n\n",
    "space after a chunk's size": CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n",
    "chunk without a size": CHUNKED + b"\r\nabc\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("slices", ["whole", "byte by byte"])
async def test_what_two_servers_could_read_differently_is_refused(
    echo: HttpServer, name: str, slices: str
) -> None:
    raw = MALFORMED[name]
    pieces = [raw] if slices == "whole" else [raw[i : i + 1] for i in range(len(raw))]
    try:
        answer = await one(echo, *pieces)
    except ConnectionError:
        # A byte that was under way when the server refused may reset the connection.
        assert slices == "byte by byte"
        return
    assert answer.status == 400
    assert answer.headers["connection"] == "close"
    assert list(answer.json) == ["error"]


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (GET + b"X: " + b"a" * 16384 + b"\r\n\r\n", 431),
        (GET + b"X: " + b"a" * 300_000, 431),
        (b"GET /" + b"a" * 16384 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
        (GET + b"X: a\r\n" * 100 + b"\r\n", 431),
        (CHUNKED + b"3;" + b"x" * 100_000, 400),
        (CHUNKED + b"3\r\nabc\r\n0\r\nX: " + b"x" * 100_000, 400),
    ],
)
async def test_what_is_too_much_or_not_served_says_so(
    echo: HttpServer, raw: bytes, status: int
) -> None:
    pieces = [raw[i : i + 8192] for i in range(0, len(raw), 8192)]
    answer = await one(echo, *pieces, pause=0.001)
    assert answer.status == status
    assert list(answer.json) == ["error"]


ACCEPTED = {
    "chunks": (CHUNKED + b"2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n", b"abc"),
    "length": (POST + b"Content-Length: 3\r\n\r\nabc", b"abc"),
    "empty lines before": (b"\r\n\r\n" + POST + b"Content-Length: 3\r\n\r\nabc", b"abc"),
    "absolute form": (b"GET http://a/v2?x=1 HTTP/1.1\r\nHost: a\r\n\r\n", b""),
    "IPv6 host": (b"GET /v2 HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n", b""),
    "HTTP/1.0": (b"GET /v2 HTTP/1.0\r\n\r\n", b""),
    "99 headers": (GET + b"X: a\r\n" * 98 + b"\r\n", b""),
    "h2c offered": (GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", b""),
    "h2c offered with a body": (
        POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc",
        b"abc",
    ),
    "h2c offered with chunks": (
        POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        b"abc",
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
@pytest.mark.parametrize("slices", ["whole", "byte by byte"])
async def test_what_is_right_is_served_however_it_is_sliced(
    echo: HttpServer, name: str, slices: str
) -> None:
    raw, body = ACCEPTED[name]
    pieces = [raw] if slices == "whole" else [raw[i : i + 1] for i in range(len(raw))]
    answer = await one(echo, *pieces)
    assert answer.status == 200
    assert answer.json["path"] == "/v2"
    assert answer.json["body"] == body.decode()


@pytest.mark.parametrize("slices", ["whole", "byte by byte"])
async def test_trailers_never_become_headers(echo: HttpServer, slices: str) -> None:
    trailers = b"X-Tenant: evil\r\nAuthorization: Bearer stolen\r\nHost: b\r\n\r\n"
    raw = CHUNKED + b"3\r\nabc\r\n0\r\n" + trailers
    pieces = [raw] if slices == "whole" else [raw[i : i + 1] for i in range(len(raw))]
    answer = await one(echo, *pieces)
    assert answer.json["headers"] == [["host", "a"], ["transfer-encoding", "chunked"]]
    assert answer.json["body"] == "abc"


async def test_pipelined_requests_are_answered_in_order(echo: HttpServer) -> None:
    raw = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i for i in range(20))
    last = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    found = await _until_closed(echo, raw + last)
    assert [answer.json["path"] for answer in found] == [*(f"/{i}" for i in range(20)), "/last"]


async def _until_closed(server: HttpServer, raw: bytes, end: bool = False) -> list[Answer]:
    """All answers until the server closes; with `end` the client stops sending first."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    received = b""
    try:
        writer.write(raw)
        if end:
            await asyncio.sleep(0.002)
            writer.write_eof()
        while piece := await asyncio.wait_for(reader.read(65536), 5):
            received += piece
    except ConnectionResetError:
        if not end:
            raise
    writer.close()
    return list(answers(received))


async def test_nothing_is_served_after_connection_close(echo: HttpServer) -> None:
    found = await _until_closed(echo, GET + b"Connection: close\r\n\r\n" + GET + b"\r\n")
    assert len(found) == 1


async def test_a_refusal_waits_for_the_replies_before_it() -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.1)
        await reply(send, scope["path"])

    async with running(slow) as server:
        found = await _until_closed(server, GET + b"\r\n" + GET + b"\r\n" + b"rubbish\r\n\r\n")
    assert [answer.status for answer in found] == [200, 200, 400]


async def test_more_pipelined_requests_than_anyone_needs_are_refused(echo: HttpServer) -> None:
    found = await _until_closed(echo, (GET + b"\r\n") * 200)
    assert [answer.status for answer in found] == [200] * 65 + [503]


async def test_mutated_requests_never_fail_the_server_or_hang_it(
    echo: HttpServer, caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(7)
    valid = [raw for raw, _ in ACCEPTED.values()]
    for _ in range(300):
        raw = bytearray(rng.choice(valid) + rng.choice(valid))
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(raw))
            match rng.randrange(3):
                case 0:
                    raw[place] = rng.choice(b"\0\r\n\t :;,-/aAxX0159\x7f\xff")
                case 1:
                    del raw[place : place + rng.randint(1, 8)]
                case 2:
                    raw[place:place] = raw[: rng.randint(1, 30)]
        for answer in await _until_closed(echo, bytes(raw), end=True):
            assert answer.status in (200, 400, 405, 408, 413, 415, 431, 501), bytes(raw)
    assert caplog.records == []
    assert echo.connections == 0


async def test_slow_headers_end_with_408() -> None:
    async with running(Echo(), header_timeout=0.2) as server:
        answer = await one(server, b"GET / HT")
        assert answer.status == 408


async def test_a_drip_of_header_bytes_gains_no_time() -> None:
    async with running(Echo(), header_timeout=0.2) as server:
        answer = await one(server, *[bytes([each]) for each in b"GET / H"], pause=0.05)
        assert answer.status == 408


async def test_a_slow_body_ends_with_408() -> None:
    async with running(Echo(), body_timeout=0.2) as server:
        answer = await one(server, POST + b"Content-Length: 9\r\n\r\nabc")
        assert (answer.status, answer.headers["connection"]) == (408, "close")


async def test_a_body_that_flows_may_take_longer() -> None:
    async with running(Echo(), body_timeout=0.2, body=1 << 20) as server:
        pieces = [b"x" * 65536] * 8
        head = POST + b"Content-Length: %d\r\n\r\n" % (65536 * 8)
        answer = await one(server, head, *pieces, pause=0.05)
        assert answer.status == 200


async def test_an_idle_connection_is_closed_silently() -> None:
    async with running(Echo(), idle_timeout=0.2) as server:
        assert await talk(server) == []


async def test_a_body_beyond_the_limit_is_refused_before_it_is_sent() -> None:
    async with running(Echo(), body=1000) as server:
        answer = await one(server, POST + b"Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n")
        assert (answer.status, answer.json) == (413, {"error": "the body has more than 1000 bytes"})


async def test_a_body_beyond_the_limit_is_refused_while_it_streams() -> None:
    async with running(Echo(), body=100_000) as server:
        chunk = b"%x\r\n" % 8192 + b"x" * 8192 + b"\r\n"
        answer = await one(server, CHUNKED, *[chunk] * 40)
        assert (answer.status, answer.headers["connection"]) == (413, "close")


async def test_a_client_that_expects_100_is_told_to_go_on(echo: HttpServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
    writer.write(POST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2) == (
        b"HTTP/1.1 100 Continue\r\n\r\n"
    )
    writer.write(b"abc")
    assert (await asyncio.wait_for(reader.readline(), 2)).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_an_early_reply_is_readable_and_ends_the_connection() -> None:
    async def refuses(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, {"error": "no"}, 401)

    async with running(refuses) as server:
        body = [b"x" * 65536] * 20
        head = POST + b"Content-Length: %d\r\n\r\n" % (65536 * 20)
        answer = await one(server, head, *body, pause=0.001)
        assert (answer.status, answer.headers["connection"]) == (401, "close")


async def test_connections_over_the_cap_are_refused_and_places_come_free() -> None:
    async with running(Echo(), connections=2) as server:
        open_ones = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
        await asyncio.sleep(0.05)
        answer = await one(server)
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        open_ones[0][1].close()
        await asyncio.sleep(0.05)
        assert (await one(server, GET + b"\r\n")).status == 200
        open_ones[1][1].close()


async def test_a_client_that_reads_nothing_is_cut() -> None:
    async def big(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, "x" * 20_000_000)

    async with running(big, body_timeout=0.2) as server:
        raw = socket.create_connection(("127.0.0.1", server.port))
        raw.sendall(GET + b"\r\n")
        await until(lambda: server.connections == 1)
        await until(lambda: server.connections == 0)
        raw.close()


async def test_thousands_of_resets_leave_nothing_behind(echo: HttpServer) -> None:
    for _ in range(300):
        raw = socket.create_connection(("127.0.0.1", echo.port))
        raw.sendall(POST + b"Content-Length: 10\r\n\r\nabc")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
        await asyncio.sleep(0)
    await until(lambda: echo.connections == 0)
    assert (await one(echo, GET + b"\r\n")).status == 200
