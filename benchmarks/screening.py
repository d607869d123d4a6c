"""What an output policy costs a reply: processor time of the filter alone, in microseconds.

Two kinds of identifiers and a pattern, no classifier, a model that answers at once; 2 KB of English
prose, and the same as a chat of chunks of five characters. All cases take turns within a round, and
the first is there twice (A/A); the cost is the difference to the same reply without a policy.

    python -m benchmarks screening [--quick]
"""

import json
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from statistics import median

import uvloop

from benchmarks import turns
from benchmarks.report import Report, Table
from policies.output.filter import Output
from policies.output.judge import Models
from policies.output.settings import OutputDocument
from protos.arrays import join_bytes
from protos.principal import Principal
from protos.route.snapshot import RouteSnapshot
from protos.service import Reply
from protos.strict_yaml import load
from protos.values import Chat, InferRequest, Part, Payload, Signature, Tensor, Tensors

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
    if not policy:
        return turns.route()
    document = load(json.dumps(POLICY), "clean.yaml", OutputDocument)
    return turns.route({("Output", "clean"): document}, output={"policy": "clean"})


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
    return {
        "numbers": _whole(turns.NUMBERS),
        "numbers again (A/A)": _whole(turns.NUMBERS),
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
    request = turns.request(route, Tensors(()))

    async def work() -> None:
        for _ in range(count):
            reply = await output(request, model)
            if reply.rest is not None:
                async for _part in reply.rest:
                    pass

    return await turns.seconds(work, count * len(parts))


async def _rounds(count: int) -> turns.Taken:
    with_policy, without = _route(policy=True), _route(policy=False)
    output = Output(NoModels(), time.monotonic)
    output.prepare([with_policy])

    async def cost(parts: Parts, _number: int) -> float:
        plain = await _seconds(output, parts, without)
        return (await _seconds(output, parts, with_policy) - plain) * 1e6

    cases = {name: partial(cost, parts) for name, parts in _cases().items()}
    return await turns.rounds(cases, count)


def run(*, quick: bool = False) -> None:
    """Measures, prints and saves the table."""
    taken = uvloop.run(_rounds(3 if quick else ROUNDS))
    rows = [(case, median(each)) for case, each in taken.items()]
    report = Report("Output policies", turns.preface(__doc__))
    report.add(Table("µs of processor time a reply", ("case", "cost"), rows))
    report.save("screening", taken)


if __name__ == "__main__":
    run()
