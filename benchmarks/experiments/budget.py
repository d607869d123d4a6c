"""Does the pipeline fit its budget, and is what carries it worth its cost?

Five tables, each with its variants interleaved over rounds (medians; CPU microseconds of the server a request):
 1. HTTP: a raw ASGI app, Starlette's routing, and a minimal asyncio.Protocol on httptools, all doing the same
    (64 floats of JSON in, 10 out), without and with a chain of ten filters that burn the design's 33 µs;
 2. a body of 10 MB of JSON beside small calls: what the small calls wait;
 3. a supervisor's workers on one inherited listening socket, and what the clients see when one is told to end;
 4. JSON floats to a float32 buffer;
 5. making values.

Prediction: 1. 30 µs raw, 50 with Starlette, 20 with the protocol; the filters add 33 + 3 of calls. 2. orjson on the
loop stalls small calls by about 60 ms, simdjson by 20, a pool by 5 (copying 10 MB through a pipe); shared memory
less. 3. Two workers on two cores shared with wrk give 1.4 times one; ending one gracefully loses no request but on
connections that it had kept alive. 4. simdjson is 3 times faster at 150,528 floats and equal at 64. 5. Frozen
slotted dataclasses cost 0.8 µs, twice what unfrozen ones cost.

    python -m benchmarks.experiments.budget
"""

from __future__ import annotations

import http.client
import signal
import socket
import statistics
import threading
import time
import timeit
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import orjson
import simdjson

from benchmarks.experiments.budget_server import with_orjson, with_simdjson
from benchmarks.experiments.fanout import BODY
from benchmarks.experiments.filters import Request
from benchmarks.experiments.processes import Child, children, wrk


def listen() -> socket.socket:
    """Inherited listeners name their protocol: asyncio turns Nagle's algorithm off only where it reads TCP."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(512)
    listener.set_inheritable(True)
    return listener


def worker(
    listener: socket.socket, kind: str = "raw", filters: int = 0, loop: str = "uvloop"
) -> Child:
    fd = listener.fileno()
    return Child("budget_server", str(fd), kind, str(filters), loop, pass_fds=(fd,))


def floats(count: int) -> bytes:
    data = np.random.default_rng(0).standard_normal(count, np.float32)
    return orjson.dumps(
        {"inputs": [{"name": "x", "data": data}]}, option=orjson.OPT_SERIALIZE_NUMPY
    )


def servers(rounds: int = 3) -> None:
    kinds = [(k, f, "uvloop") for k in ("raw", "starlette", "protocol") for f in (0, 1)] + [
        ("raw", 0, "asyncio")
    ]
    results: dict[tuple, list[tuple[float, float, float]]] = defaultdict(list)
    with children() as started:
        running = []
        for kind in kinds:
            listener = listen()
            running.append((kind, worker(listener, *kind), listener))
            started.append(running[-1][1])
        for _, child, _ in running:
            child.ready()
        for _ in range(rounds):
            for kind, child, listener in running:
                before = child.cpu()
                load = wrk(
                    f"http://127.0.0.1:{listener.getsockname()[1]}/v2/models/m/infer", BODY, 64, 1
                )
                assert not load.errors
                results[kind].append(
                    ((child.cpu() - before) / load.requests * 1e6, load.rate, load.p50_ms)
                )
    print("\n| server | filters | loop | CPU µs | requests/s | p50 ms |\n|---|---|---|---|---|---|")
    for (kind, filters, loop), rows in results.items():
        cpu, rate, p50 = (statistics.median(column) for column in zip(*rows, strict=True))
        print(
            f"| {kind} | {'ten' if filters else 'none'} | {loop} | {cpu:.0f} | {rate:.0f} | {p50:.2f} |"
        )


def big_body(rounds: int = 3) -> None:
    body = floats(1_000_000)
    ways = ["none", "orjson", "simdjson", "thread", "pool", "shared"]
    results: dict[str, list[tuple[float, float, float, float]]] = defaultdict(list)
    with children() as started, listen() as listener:
        started.append(worker(listener).ready())
        port = listener.getsockname()[1]
        for way in ways * rounds:
            took: list[float] = []
            stop = threading.Event()
            sender = threading.Thread(target=_send_big, args=(port, way, body, stop, took))
            if way != "none":
                _send_one(port, way, body)
                sender.start()
            load = wrk(f"http://127.0.0.1:{port}/small", BODY, 8, 2)
            stop.set()
            if way != "none":
                sender.join()
            results[way].append(
                (load.p50_ms, load.p99_ms, load.max_ms, statistics.median(took or [0.0]))
            )
    print(f"\n{len(body) / 1e6:.1f} MB of JSON ten times a second beside 8 small callers:\n")
    print(
        "| decoded | small p50 ms | small p99 ms | small slowest ms | big ms |\n|---|---|---|---|---|"
    )
    for way, rows in results.items():
        p50, p99, slowest, big = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"| {way} | {p50:.2f} | {p99:.1f} | {slowest:.0f} | {big:.0f} |")


def _send_one(port: int, way: str, body: bytes) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("POST", f"/big/{way}", body)
    assert connection.getresponse().read() == b"4000000"
    connection.close()


def _send_big(port: int, way: str, body: bytes, stop: threading.Event, took: list[float]) -> None:
    while not stop.is_set():
        start = time.perf_counter()
        _send_one(port, way, body)
        took.append((time.perf_counter() - start) * 1e3)
        stop.wait(0.1)


def workers() -> None:
    print(
        "\n| workers | CPU µs | requests/s | share of the busiest | failed |\n|---|---|---|---|---|"
    )
    for count in (1, 2, 1, 2):
        with children() as started, listen() as listener:
            started += [worker(listener, filters=1) for _ in range(count)]
            for child in started:
                child.ready()
            before = [c.cpu() for c in started]
            load = wrk(f"http://127.0.0.1:{listener.getsockname()[1]}/", BODY, 64, 2)
            spent = [c.cpu() - b for c, b in zip(started, before, strict=True)]
            cpu, share = sum(spent) / load.requests * 1e6, max(spent) / sum(spent)
            print(f"| {count} | {cpu:.0f} | {load.rate:.0f} | {share:.0%} | {load.errors} |")
    with children() as started, listen() as listener:
        started += [worker(listener, filters=1), worker(listener, filters=1)]
        for child in started:
            child.ready()
        ender = threading.Timer(0.7, started[0].signal, (signal.SIGTERM,))
        ender.start()
        load = wrk(f"http://127.0.0.1:{listener.getsockname()[1]}/", BODY, 64, 2)
        code = started[0].process.wait(10)
        print(
            f"| 2, one ended | | {load.rate:.0f} | exit {code} | {load.errors} {load.socket_errors} |"
        )


@dataclass(slots=True)
class Unfrozen:
    id: str
    model: str
    version: str
    payload: bytes
    parameters: dict
    context: object


class Named(NamedTuple):
    id: str
    model: str
    version: str
    payload: bytes
    parameters: dict
    context: object


def best(call: Callable[[], object], number: int) -> float:
    return min(timeit.repeat(call, number=number, repeat=5)) / number * 1e6


def values() -> None:
    parser = simdjson.Parser()
    print(
        "\n| JSON to float32 | orjson + NumPy µs | simdjson µs | simdjson, new parser µs |\n|---|---|---|---|"
    )
    for count, number in ((64, 3000), (150_528, 5)):
        body = floats(count)
        ways = (
            partial(with_orjson, body),
            partial(with_simdjson, body, parser),
            partial(with_simdjson, body),
        )
        times = " | ".join(f"{best(way, number):.1f}" for way in ways)
        print(f"| {count} floats, {len(body)} bytes | {times} |")
    print("\n| a value of six fields | ns |\n|---|---|")
    for kind in (Request, Unfrozen, Named):
        print(
            f"| {kind.__name__} | {best(partial(kind, '1', 'm', '', b'', {}, None), 20_000) * 1e3:.0f} |"
        )


if __name__ == "__main__":
    for table in (servers, big_body, workers, values):
        table()
