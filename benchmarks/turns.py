"""Benchmarks of single filters: routes and requests without a network, cases that take turns."""

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from math import inf
from statistics import median

from benchmarks.report import Report, Table
from protos.principal import Principal
from protos.route.document import Spec
from protos.route.snapshot import Arm, Policies, RouteSnapshot
from protos.service import Reply
from protos.timeline import Target, Timeline
from protos.values import Context, Headers, InferRequest, Part, Payload, Tensor, Tensors

FLOATS = Tensors((Tensor("x", "FP32", (1, 64), bytes(256)),))
NUMBERS = Tensors((Tensor("y", "FP32", (1, 10), bytes(40)),))
ANSWER = Reply(Part(NUMBERS, "1", {}, True))

Case = Callable[[int], Awaitable[float]]  # the round's number to seconds of processor time
Taken = Mapping[str, list[float]]  # each round's seconds, by case


def route(policies: Policies | None = None, /, **blocks: object) -> RouteSnapshot:
    """A route to one model with such blocks in its document."""
    written = {"match": [{"model": "m"}], "backends": [{"name": "stable", "model": "m"}], **blocks}
    spec = Spec.model_validate_json(json.dumps(written))
    return RouteSnapshot("m", "r1", spec, (Arm("stable", "m", "1", 1.0),), policies=policies or {})


def request(route: RouteSnapshot, payload: Payload, headers: Headers = ()) -> InferRequest:
    who, target = Principal("s", "t", frozenset()), Target("stable", "m", "1")
    context = Context(who, inf, Timeline(0.0), target, route=route, headers=headers)
    return InferRequest("", "m", "1", payload, {}, context)


async def model(request: InferRequest) -> Reply:
    """Answers at once."""
    return ANSWER


async def seconds(work: Callable[[], Awaitable[None]], count: int) -> float:
    """Processor time of one of the `count` things that the work does."""
    started = time.thread_time()
    await work()
    return (time.thread_time() - started) / count


async def rounds(cases: Mapping[str, Case], count: int) -> Taken:
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(count):
        for name, case in cases.items():
            taken[name].append(await case(number))
    return taken


def report_costs(title: str, about: str | None, name: str, taken: Taken) -> None:
    """Prints and saves what cases take more than the first one, round by round."""
    base = next(iter(taken.values()))
    rows = [
        (case, median(each) * 1e6, median((a - b) * 1e6 for a, b in zip(each, base, strict=True)))
        for case, each in taken.items()
    ]
    report = Report(title, preface(about))
    report.add(Table("µs of processor time a request", ("case", "filter", "cost"), rows))
    report.save(name, taken)


def preface(about: str | None) -> str:
    """A benchmark's docstring without how it is started."""
    return str(about).partition("\n\n    python")[0]
