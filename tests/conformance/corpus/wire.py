"""A case of bad input in bytes, and how it is sent: whole, byte by byte, behind a good request."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from tests.gateway.http.raw_http import Answer, answers

TOKEN, ADMIN = b"{token}", b"{admin}"  # stand in cases for a user's and an administrator's
WAIT = 60.0  # seconds for an answer; the machine may be busy
SILENCE = 0.2  # seconds without a byte that show that a connection is kept
SINGLE = 700  # bytes at the beginning of a case that are sent one by one, and 64 at its end
PIECE = 4093
GOOD = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n"

How = Literal["whole", "byte by byte", "behind a good request"]


@dataclass(frozen=True)
class Case:
    """`sent`, and what must come: `status` (of the last answer; 0: closed without one), the
    sentence, whether the connection is closed. A sentence in `why` says what else to know."""

    name: str
    sent: bytes
    status: int
    says: str = ""
    closes: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    before: tuple[int, ...] = ()  # statuses of answers before the last, such as 100

    def knowing(self, token: str, admin: str) -> "Case":
        sent = self.sent.replace(TOKEN, token.encode()).replace(ADMIN, admin.encode())
        return replace(self, sent=sent)


def refused(name: str, sent: bytes, says: str = "", status: int = 400) -> Case:
    """A request after which nothing of the connection is read."""
    return Case(name, sent, status, says, closes=True)


@dataclass(frozen=True)
class Heard:
    answers: tuple[Answer, ...]
    closed: bool


async def tell(port: int, case: Case, how: How) -> Heard:
    """Sends a case and listens until the server closes, or has said what it has to say."""
    sent = case.sent if how != "behind a good request" else GOOD + case.sent
    expected = len(case.before) + 1 + (how == "behind a good request")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    listening = asyncio.create_task(_listen(reader, expected, closes=case.closes))
    try:
        for piece in _pieces(sent) if how == "byte by byte" else [sent]:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if not case.status:
            writer.write_eof()
    except ConnectionError:
        pass  # it was refused before its end; what was said of it has been heard
    try:
        return await listening
    finally:
        writer.close()


async def _listen(reader: asyncio.StreamReader, expected: int, *, closes: bool) -> Heard:
    received = b""
    try:
        while True:
            enough = not closes and len(_whole(received)) >= expected
            async with asyncio.timeout(SILENCE if enough else WAIT):
                piece = await reader.read(65536)
            if not piece:
                break
            received += piece
    except TimeoutError:
        return Heard(tuple(_whole(received)), closed=False)
    except ConnectionError:
        pass
    return Heard(tuple(answers(received)), closed=True)


def _whole(received: bytes) -> list[Answer]:
    try:
        return list(answers(received))
    except ValueError:
        return []


def _pieces(sent: bytes) -> Iterator[bytes]:
    last = max(SINGLE, len(sent) - 64)
    for place in range(min(SINGLE, len(sent))):
        yield sent[place : place + 1]
    for place in range(SINGLE, last, PIECE):
        yield sent[place : min(place + PIECE, last)]
    for place in range(last, len(sent)):
        yield sent[place : place + 1]


def request(
    target: bytes,
    *fields: bytes,
    method: bytes = b"GET",
    token: bytes = TOKEN,
    body: bytes | None = None,
) -> bytes:
    """A request that is right but for what is given."""
    lines = [method + b" " + target + b" HTTP/1.1", b"Host: a"]
    if token:
        lines.append(b"Authorization: Bearer " + token)
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, *fields, b"", b""]) + (body or b"")
