"""Limits that gateways share: how exact they are, what they add, and what a lost Redis does.

Two gateways with one worker each share a real Redis, and lead to the same backend; a third counts
for itself, twice (the second time is the A/A comparison). Needs `redis-server`.

    python -m benchmarks sharing
"""

import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks import credentials, load, mesh
from benchmarks.load import Call
from benchmarks.open_loop import Answer, Running, Stream
from benchmarks.processes import Child, children, free_ports, wait_for_port
from benchmarks.report import Report, Table
from benchmarks.works import VECTOR, repository

RATE = 60.0  # a second: what is limited
LEASE = RATE * 0.1  # all holders together
OVERLOAD = 10.0
SECONDS = 20.0
ROUNDS = 30
REQUESTS = 150  # a block
PACE = 200.0  # a second
HEAD_START = 5.0  # seconds for the generators to start
PHASE = 6.0  # seconds before, without and after Redis

HEADERS = {"content-type": "application/json"}
LIMITS = {
    "limited": f"requests: {RATE:g}/s",
    "spread": f"requests: {RATE:g}/s",
    "roomy": "requests: 100k/s",
    "share": f"requests: {RATE:g}/s, onStateLost: share",
    "refuse": f"requests: {RATE:g}/s, onStateLost: refuse",
}
HANGS, DIES = "hangs", "is killed"


def run(folder: Path, *, quick: bool = False) -> None:
    """Measures, prints and saves the tables."""
    seconds, rounds, phase = (5.0, 2, 3.0) if quick else (SECONDS, ROUNDS, PHASE)
    place = folder / "sharing"
    place.mkdir(parents=True, exist_ok=True)
    raw: dict[str, Any] = {}
    report = Report("Shared limits", str(__doc__).partition("\n\n")[0])
    with children() as started:
        (port,) = free_ports(1)
        redis = _redis(place, port, started)
        state = {"state": {"url": f"redis://127.0.0.1:{port}"}}
        routes = {f"{name}.yaml": _route(name, limit) for name, limit in LIMITS.items()}
        one = mesh.gateway(place, "one", routes=routes, settings=state)
        another = mesh.gateway(place, "another", routes=routes, settings=state)
        alone = mesh.gateway(place, "alone", routes=routes)
        workers = mesh.gateway(place, "workers", workers=2, routes=routes)
        gateways = [one, another, alone, workers]
        started += [each.child for each in gateways]
        backend, _ = mesh.backend(place, "backend", "python", repository(place), gateways)
        started.append(backend)
        for each in gateways:
            each.wait_for(VECTOR.model, [backend])

        ports = [one.http, another.http]
        raw["exact"] = {
            "two gateways, even load": _overload(ports, "limited", (0.5, 0.5), seconds),
            "two gateways, 9 : 1": _overload(ports, "spread", (0.9, 0.1), seconds),
            "one gateway, two workers": _overload([workers.http], "limited", (1.0,), seconds),
            "one gateway, one worker": _overload([alone.http], "limited", (1.0,), seconds),
        }
        report.add(_exactness(raw["exact"]))
        raw["added"] = _latencies(
            {"alone": alone.http, "alone again": alone.http, "shared": one.http}, rounds
        )
        report.add(_added(raw["added"]))
        for what in (HANGS, DIES):
            answers = _lose(what, redis, place, port, ports, phase, started)
            report.add(_losses(what, answers, phase))
            raw[what] = _by_second(answers)
            redis = started[-1] if what == DIES else redis
    report.save("sharing", raw)


def _redis(folder: Path, port: int, started: list[Child]) -> Child:
    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("redis-server is not on the PATH: install the package of your system")
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    child = Child("redis", [*command, "--dir", str(folder)], folder / "redis.log")
    started.append(child)
    wait_for_port(child, port)
    return child


def _overload(
    ports: Sequence[int], model: str, shares: Sequence[float], seconds: float
) -> dict[str, float]:
    """Ten times the limit, from a full bucket: what was admitted, and in which time."""
    at = time.monotonic() + HEAD_START
    running = [
        Running([_stream(model, port, RATE * OVERLOAD * share, seed)], seconds, at)
        for seed, (port, share) in enumerate(zip(ports, shares, strict=True))
    ]
    answers = [answer for each in running for answer in each.result()]
    passed = [each.planned + each.seconds for each in answers if each.status == 200]
    codes = Counter(each.status for each in answers)
    return {
        "requests": len(answers),
        "admitted": len(passed),
        "limit": RATE + RATE * (max(passed) - min(passed)),
        "others": len(answers) - codes[200] - codes[429],
    }


def _exactness(found: dict[str, dict[str, float]]) -> Table:
    rows = [
        (
            name,
            int(each["requests"]),
            int(each["admitted"]),
            round(each["limit"]),
            f"{100 * (each['admitted'] / each['limit'] - 1):+.2f} %",
            int(each["others"]),
        )
        for name, each in found.items()
    ]
    note = (
        f"{RATE:g} requests/s and a burst of {RATE:g}, asked for {OVERLOAD:g} times as often; all"
        f" leases together are {LEASE:g}. Allowed: burst + rate · time."
    )
    columns = ("who counts", "requests", "admitted", "allowed", "difference", "not 200 or 429")
    return Table("Exactness", columns, rows, note)


def _latencies(ports: dict[str, int], rounds: int) -> list[dict[str, float]]:
    """p50 in seconds by gateway, one block each in every round."""
    for port in ports.values():
        _block(port)  # warm
    order, found = random.Random(1), []
    for _ in range(rounds):
        names = list(ports)
        order.shuffle(names)
        found.append({name: _block(ports[name]) for name in names})
    return found


def _block(port: int) -> float:
    call = Call(port, "/v2/models/to-roomy/infer", _headers(), (VECTOR.rest(),))
    return float(np.median([reply.seconds for reply in load.paced(call, REQUESTS, 1 / PACE)]))


def _added(rounds: list[dict[str, float]]) -> Table:
    plain = [each["alone"] for each in rounds]
    rows = []
    for name in rounds[0]:
        taken = [each[name] for each in rounds]
        ratio = median(a / b for a, b in zip(taken, plain, strict=True))
        more = median(a - b for a, b in zip(taken, plain, strict=True))
        rows.append((name, f"{median(taken) * 1e3:.3f}", f"{more * 1e3:+.3f}", f"{ratio:.3f}"))
    note = f"p50 of {REQUESTS} paced requests, {len(rounds)} interleaved rounds; medians over them."
    return Table("Added latency", ("limits", "p50 ms", "more, ms", "ratio"), rows, note)


def _lose(
    what: str,
    redis: Child,
    folder: Path,
    port: int,
    ports: Sequence[int],
    phase: float,
    started: list[Child],
) -> list[dict[str, Any]]:
    """Takes Redis away for a phase in the middle; every answer with its time and gateway."""
    at = time.monotonic() + HEAD_START
    names = ("share", "refuse")
    running = [
        Running([_stream(name, each, 2 * RATE, seed) for name in names], 3 * phase, at)
        for seed, each in enumerate(ports)
    ]
    time.sleep(at + phase - time.monotonic())
    redis.process.send_signal(signal.SIGSTOP if what == HANGS else signal.SIGKILL)
    time.sleep(phase)
    if what == HANGS:
        redis.process.send_signal(signal.SIGCONT)
    else:
        _redis(folder, port, started)
    return [_plain(answer) for each in running for answer in each.result()]


def _plain(answer: Answer) -> dict[str, Any]:
    return {
        "stream": answer.stream,
        "at": round(answer.planned, 3),
        "server": round(answer.server, 5),
        "status": answer.status,
    }


def _losses(what: str, answers: list[dict[str, Any]], phase: float) -> Table:
    rows: list[tuple[str | float | int | None, ...]] = []
    for name in ("share", "refuse"):
        for number, when in enumerate(("before", "without", "after")):
            # Without the second in which it happens.
            begin, end = number * phase + 1.0, (number + 1) * phase - 0.1
            found = [a for a in answers if a["stream"] == name and begin <= a["at"] < end]
            rows.append((name, when, *_phase(found, end - begin)))
    failed = sum(a["status"] >= 500 or a["status"] == 0 for a in answers)
    slow = sorted(a["server"] for a in answers)
    lost = max(a["server"] for a in answers if phase - 0.1 <= a["at"] < phase + 0.7)
    note = (
        f"Redis {what} for {phase:g} s under {4 * RATE:g} requests/s a route. In all"
        f" {len(answers)} answers {failed} were 5xx or none. When it was lost the slowest took"
        f" {lost * 1e3:.0f} ms at the server, in all the time {slow[-1] * 1e3:.0f} ms;"
        f" {sum(s > 0.05 for s in slow)} took more than 50 ms."
    )
    columns = ("onStateLost", "Redis", "requests/s", "admitted/s", "p50 ms", "p99 ms")
    return Table(f"Redis {what}", columns, rows, note)


def _by_second(answers: list[dict[str, Any]]) -> dict[str, list[list[float]]]:
    """By stream, for each second: requests, admitted ones, and the slowest, in seconds."""
    found: dict[str, list[list[float]]] = {}
    for answer in answers:
        seconds = found.setdefault(answer["stream"], [])
        second = int(answer["at"])
        seconds += [[0, 0, 0.0] for _ in range(second + 1 - len(seconds))]
        row = seconds[second]
        row[0] += 1
        row[1] += answer["status"] == 200
        row[2] = max(row[2], answer["server"])
    return found


def _phase(answers: list[dict[str, Any]], seconds: float) -> tuple[str, ...]:
    took = [a["server"] * 1e3 for a in answers] or [0.0]
    p50, p99 = np.quantile(took, (0.5, 0.99))
    admitted = sum(a["status"] == 200 for a in answers)
    each = (len(answers) / seconds, admitted / seconds)
    return (f"{each[0]:.0f}", f"{each[1]:.1f}", f"{p50:.2f}", f"{p99:.2f}")


def _stream(model: str, port: int, rate: float, seed: int) -> Stream:
    path = f"/v2/models/to-{model}/infer"
    return Stream(model, port, path, _headers(), VECTOR.rest().decode(), rate, seed)


def _headers() -> dict[str, str]:
    return {**HEADERS, "authorization": f"Bearer {credentials.token('infer:*')}"}


def _route(name: str, limit: str) -> str:
    return "\n".join(
        [
            "apiVersion: penstock/v1",
            "kind: Route",
            f"metadata: {{name: {name}}}",
            "spec:",
            f"  match: [{{model: to-{name}}}]",
            f"  backends: [{{name: stable, model: {VECTOR.model}}}]",
            f"  limits: [{{per: route, {limit}}}]",
        ]
    )
