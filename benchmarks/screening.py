"""What an output policy costs a reply: processor time of the filter alone, in microseconds.

Two kinds of identifiers and a pattern, no classifier, a model that answers at once; 2 KB of English
prose, and the same as a chat of chunks of five characters. All cases take turns within a round, and
the first is there twice (A/A); the cost is the difference to the same reply without a policy.

    python -m benchmarks screening [--quick]
"""

import json
import time
from collections.abc import AsyncIterator, Sequence
from math import inf
from statistics import median

import uvloop

from benchmarks.report import Report, Table
from policies.output.filter import Output
from policies.output.judge import Models
from policies.output.settings import OutputDocument
from protos.arrays import join_bytes
from protos.route.document import Spec
from protos.route.snapshot import Arm, RouteSnapshot
from protos.service import Reply
from protos.strict_yaml import load
from protos.values import (
    Chat,
    Context,
    InferRequest,
    Part,
    Payload,
    Principal,
    Signature,
    Tensor,
    Tensors,
    Timeline,
)

ROUNDS = 15
REPLIES = 200
PROSE = "The committee met on Tuesday and agreed that the plan should go ahead as written. " * 25
POLICY = {
    "apiVersion": "penstock/v1",
    "kind": "Output",
    "metadata": {"name": "clean"},
    "spec": {
        "entities": {"CREDIT_CARD": {"action": "mask"}, "EMAIL": {"action": "mask"}},
        "patterns": [{"name": "LAUNCH", "pattern": "launch code [0-9]+", "action": "block"}],
    },
}

Parts = Sequence[Part]


class NoModels(Models):
    """For policies without a classifier."""

    def route(self, model: str, who: Principal) -> RouteSnapshot:
        raise LookupError(model)

    def signature(self, route: RouteSnapshot, model: str, version: str) -> Signature:
        raise LookupError(model)


def _route(*, policy: bool) -> RouteSnapshot:
    block = {"output": {"policy": "clean"}} if policy else {}
    spec = Spec.model_validate(
        {"match": ({"model": "m"},), "backends": ({"name": "stable", "model": "m"},), **block}
    )
    document = load(json.dumps(POLICY), "clean.yaml", OutputDocument)
    arms = (Arm("stable", "m", "1", 1.0),)
    return RouteSnapshot("m", "r1", spec, arms, policies={("Output", "clean"): document})


def _text(text: str) -> Payload:
    return Tensors((Tensor("text", "BYTES", (1,), join_bytes([text.encode()])),))


def _chunk(text: str, finish: str | None = None) -> Payload:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return Chat({"id": "c", "object": "chat.completion.chunk", "choices": [choice]})


def _whole(payload: Payload) -> Parts:
    return [Part(payload, "1", {}, True)]


def _cases() -> dict[str, Parts]:
    clean = PROSE[:2048]
    cards = ("4111 1111 1111 1111", "5500 0000 0000 0004", "3400 0000 0000 009")
    found = "".join(f"{clean[at * 600 : at * 600 + 600]} {card} " for at, card in enumerate(cards))
    chunks = [_chunk(clean[at : at + 5]) for at in range(0, len(clean), 5)]
    chat = [
        *(Part(each, "1", {}, False) for each in chunks),
        Part(_chunk("", "stop"), "1", {}, True),
    ]
    numbers = Tensors((Tensor("y", "FP32", (1, 10), bytes(40)),))
    return {
        "numbers": _whole(numbers),
        "numbers again (A/A)": _whole(numbers),
        "2 KB, clean": _whole(_text(clean)),
        "2 KB, three findings": _whole(_text(found)),
        "a chunk of a chat": chat,
    }


async def _rest(parts: Parts) -> AsyncIterator[Part]:
    for part in parts:
        yield part


async def _seconds(output: Output, parts: Parts, route: RouteSnapshot) -> float:
    """Seconds of processor time a reply, or a chunk of a streamed one."""

    async def model(request: InferRequest) -> Reply:
        return Reply(parts[0], _rest(parts[1:]) if len(parts) > 1 else None)

    count = max(1, REPLIES // len(parts))
    context = Context(Principal("s", "t", frozenset()), inf, Timeline(0.0), route=route)
    request = InferRequest("", "m", "1", Tensors(()), {}, context)
    started = time.thread_time()
    for _ in range(count):
        reply = await output(request, model)
        if reply.rest is not None:
            async for _part in reply.rest:
                pass
    return (time.thread_time() - started) / (count * len(parts))


async def _rounds(rounds: int) -> dict[str, list[float]]:
    with_policy, without = _route(policy=True), _route(policy=False)
    output = Output(NoModels(), time.monotonic)
    output.prepare([with_policy])
    cases = _cases()
    taken: dict[str, list[float]] = {case: [] for case in cases}
    for _ in range(rounds):
        for case, parts in cases.items():
            plain = await _seconds(output, parts, without)
            taken[case].append((await _seconds(output, parts, with_policy) - plain) * 1e6)
    return taken


def run(*, quick: bool = False) -> None:
    """Measures, prints and saves the table."""
    taken = uvloop.run(_rounds(3 if quick else ROUNDS))
    rows = [(case, median(each)) for case, each in taken.items()]
    report = Report("Output policies", str(__doc__).partition("\n\n    python")[0])
    report.add(Table("µs of processor time a reply", ("case", "cost"), rows))
    report.save("screening", taken)


if __name__ == "__main__":
    run()
