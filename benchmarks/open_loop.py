"""Requests at planned times, whether or not the earlier ones have been answered (open loop).

A closed loop asks less as soon as it is answered later, so it never shows an overload. Latencies
count from the planned time: a generator that falls behind doesn't flatter the server (coordinated
omission). It runs in a process of its own, `python -m benchmarks.open_loop`, which reads streams as
JSON from its standard input and writes what came of them.
"""

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from benchmarks.load import Call


@dataclass(frozen=True, slots=True)
class Stream:
    """Poisson arrivals, `rate` a second, of one request; the same seed gives the same times."""

    name: str
    port: int
    path: str
    headers: Mapping[str, str]
    body: str
    rate: float
    seed: int


@dataclass(frozen=True, slots=True)
class Answer:
    """When a request was planned, in seconds from the start, and how long its answer took.

    `seconds` is from the plan to the answer, `late` of it until it was sent. As the server says it,
    `server` is from its head to its answer, and `queue` how long it waited at the backend.
    """

    stream: str
    planned: float
    seconds: float
    late: float
    server: float
    queue: float
    status: int
    retry_after: bool


class Running:
    """Streams in a child process, which connects at once and asks from `at` on (monotonic time)."""

    def __init__(self, streams: Sequence[Stream], seconds: float, at: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.open_loop", str(seconds), str(at)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        stdin = self._process.stdin
        assert stdin is not None
        json.dump([asdict(stream) for stream in streams], stdin)
        stdin.close()
        self._process.stdin = None

    def result(self) -> list[Answer]:
        """Waits for the end. Raises RuntimeError if the child failed or was not ready in time."""
        output, _ = self._process.communicate()
        if self._process.returncode:
            raise RuntimeError(f"the load generator ended with {self._process.returncode}")
        return [Answer(*row) for row in json.loads(output)]


class _Connection(asyncio.Protocol):
    """One request at a time; the future gets the head of its answer, empty if there is none."""

    def __init__(self) -> None:
        self.future: asyncio.Future[bytes] | None = None
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, request: bytes) -> asyncio.Future[bytes]:
        if self._transport is None:
            raise RuntimeError("not connected")
        self.future = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self.future

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        head = head.lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._received = b""
        if self.future is not None and not self.future.done():
            self.future.set_result(head)

    def connection_lost(self, error: Exception | None) -> None:
        if self.future is not None and not self.future.done():
            self.future.set_result(b"")

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def _run(streams: Sequence[Stream], seconds: float, begun: float) -> list[Answer]:
    loop = asyncio.get_running_loop()
    idle: list[_Connection] = []
    answers: list[Answer] = []
    plan = sorted((at, stream.name) for stream in streams for at in _arrivals(stream, seconds))
    requests = {
        each.name: Call(each.port, each.path, each.headers, (each.body.encode(),)).encoded()[0]
        for each in streams
    }
    port = streams[0].port

    async def ask(name: str, at: float) -> None:
        connection = idle.pop() if idle else None
        if connection is None:
            _, connection = await loop.create_connection(_Connection, "127.0.0.1", port)
        late = loop.time() - begun - at
        head = await connection.ask(requests[name])
        took = loop.time() - begun - at
        answers.append(Answer(name, at, took, late, *_told(head)))
        if head:
            idle.append(connection)

    connected = [loop.create_connection(_Connection, "127.0.0.1", port) for _ in range(32)]
    idle += [connection for _, connection in await asyncio.gather(*connected)]
    if loop.time() > begun:
        raise RuntimeError("the load generator was not ready in time")
    tasks = []
    for at, name in plan:
        if (wait := begun + at - loop.time()) > 0:
            await asyncio.sleep(wait)
        tasks.append(loop.create_task(ask(name, at)))
    await asyncio.gather(*tasks)
    for connection in idle:
        connection.close()
    return answers


def _told(head: bytes) -> tuple[float, float, int, bool]:
    """Seconds at the server, and in the backend's queue; status; whether there is a Retry-After."""
    if not head:
        return 0.0, 0.0, 0, False
    retry_after = b"\r\nretry-after:" in head
    return _timing(head, b"total"), _timing(head, b"queue"), int(head[9:12]), retry_after


def _timing(head: bytes, stage: bytes) -> float:
    """Seconds of a stage in Server-Timing; 0 if it isn't there."""
    found = head.partition(b"%b;dur=" % stage)[2].partition(b"\r\n")[0].partition(b",")[0]
    return float(found or b"0") / 1e3


def _arrivals(stream: Stream, seconds: float) -> list[float]:
    rng, at, found = random.Random(stream.seed), 0.0, []
    while (at := at + rng.expovariate(stream.rate)) < seconds:
        found.append(at)
    return found


def main() -> None:
    streams = [Stream(**each) for each in json.load(sys.stdin)]
    answers = asyncio.run(_run(streams, float(sys.argv[1]), float(sys.argv[2])))
    json.dump([list(asdict(answer).values()) for answer in answers], sys.stdout)


if __name__ == "__main__":
    main()
