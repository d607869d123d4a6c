"""Load on an HTTP server: closed loops of many connections (wrk), or one connection in detail."""

import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

# wrk's own report rounds; this prints the figures as JSON after it.
_SCRIPT = """
wrk.method = "POST"
%(headers)s
local requests, at = {}, 0
init = function(arguments)
  for number = 1, %(count)d do
    local file = io.open(%(folder)s .. "/" .. number, "rb")
    requests[number] = wrk.format(nil, nil, nil, file:read("*a"))
    file:close()
  end
end
request = function()
  at = at %% #requests + 1
  return requests[at]
end
done = function(summary, latency, requests)
  local lost = summary.errors
  io.write(string.format(
    '\\n{"requests":%%d,"seconds":%%.6f,"p50":%%.1f,"p99":%%.1f,"slowest":%%.1f,"refused":%%d,"lost":%%d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    latency.max, lost.status, lost.connect + lost.read + lost.write + lost.timeout))
end
"""
_TIMEOUT = 60.0  # seconds; also for one image in JSON through a slow server


@dataclass(frozen=True, slots=True)
class Call:
    """Requests that are posted in turn, again and again; they differ by their bodies."""

    port: int
    path: str
    headers: Mapping[str, str]
    bodies: tuple[bytes, ...]

    def encoded(self) -> list[bytes]:
        """The requests as they are on the wire."""
        fields = {"host": f"127.0.0.1:{self.port}", **self.headers}
        lines = [f"POST {self.path} HTTP/1.1", *(f"{k}: {v}" for k, v in fields.items())]
        head = "\r\n".join(lines).encode()
        return [b"%b\r\ncontent-length: %d\r\n\r\n%b" % (head, len(b), b) for b in self.bodies]


@dataclass(frozen=True, slots=True)
class Load:
    """What came of it; latencies in seconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    slowest: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def wrk(call: Call, connections: int, seconds: float) -> Load:
    """`connections` that each wait for a reply before they ask again.

    Raises RuntimeError if a request failed: errors are cheaper than answers, and would be counted
    as speed.
    """
    with tempfile.TemporaryDirectory() as folder:
        for number, body in enumerate(call.bodies, 1):
            Path(folder, str(number)).write_bytes(body)
        script = Path(folder, "post.lua")
        headers = "\n".join(
            f"wrk.headers[{json.dumps(k)}] = {json.dumps(v)}" for k, v in call.headers.items()
        )
        values = {"headers": headers, "count": len(call.bodies), "folder": json.dumps(folder)}
        script.write_text(_SCRIPT % values)
        done = subprocess.run(
            [
                *(_wrk(), "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s"),
                *(f"--timeout={_TIMEOUT:.0f}s", f"-s{script}"),
                f"http://127.0.0.1:{call.port}{call.path}",
            ],
            check=True,
            capture_output=True,
            text=True,
        )
    found = json.loads(done.stdout.strip().rpartition("\n")[2])
    if found["refused"] or found["lost"] or not found["requests"]:
        raise RuntimeError(f"{call.path} on port {call.port}: {found}")
    return Load(
        found["requests"],
        found["seconds"],
        found["p50"] / 1e6,
        found["p99"] / 1e6,
        found["slowest"] / 1e6,
    )


def _wrk() -> str:
    found = shutil.which("wrk")
    if found is None:
        raise SystemExit("wrk is not on the PATH: install the package `wrk` of your system")
    return found


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply, `seconds` after its request was sent."""

    seconds: float
    headers: Mapping[str, str]
    body: bytes


def ask(call: Call) -> Reply:
    """One request on a connection of its own."""
    with _connection(call) as connection:
        return _ask(connection, call.encoded()[0])


def one_by_one(call: Call, seconds: float) -> list[Reply]:
    """One connection of a blocking socket, which asks again as soon as it has its answer."""
    requests, replies = cycle(call.encoded()), []
    with _connection(call) as connection:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            replies.append(_ask(connection, next(requests)))
    return replies


def paced(call: Call, count: int, interval: float) -> list[Reply]:
    """One connection that sends `count` requests, one every `interval` seconds or as it can."""
    requests, replies = cycle(call.encoded()), []
    with _connection(call) as connection:
        due = time.perf_counter()
        for _ in range(count):
            time.sleep(max(0.0, due - time.perf_counter()))
            replies.append(_ask(connection, next(requests)))
            due = max(due + interval, time.perf_counter())
    return replies


def _connection(call: Call) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", call.port), _TIMEOUT)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _ask(connection: socket.socket, request: bytes) -> Reply:
    began = time.perf_counter()
    connection.sendall(request)
    head, _, body = _received(connection).partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    pieces, missing = [body], int(headers["content-length"]) - len(body)
    while missing > 0:
        pieces.append(_received(connection))
        missing -= len(pieces[-1])
    took = time.perf_counter() - began
    body = b"".join(pieces)
    if status.split()[1] != "200":
        raise RuntimeError(f"{status}: {body[:500]!r}")
    return Reply(took, headers, body)


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(1 << 20)
    if not data:
        raise RuntimeError("the server closed the connection")
    return data
