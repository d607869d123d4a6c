"""Models that say what they are told to, under an output policy."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from math import inf
from typing import Any

import numpy as np

from policies.output.filter import Output
from policies.output.settings import OutputDocument
from protos.arrays import join_bytes, split_bytes, to_tensor
from protos.errors import PenstockError
from protos.principal import Principal
from protos.route.snapshot import RouteSnapshot
from protos.service import Reply
from protos.strict_yaml import load
from protos.timeline import Timeline
from protos.values import (
    Chat,
    Context,
    InferRequest,
    Part,
    Payload,
    Signature,
    Tensor,
    Tensors,
    TensorSpec,
)
from routing.rules.snapshot import snapshot
from tests.routing.routed import route as plain_route
from tests.routing.rules.written_routes import route as route_of

CARD = "4111 1111 1111 1111"
CLASSIFIER = {"model": "toxic", "input": "text", "output": "score", "threshold": 0.5}


def route(by_route: str = "enforce", **policy: Any) -> RouteSnapshot:
    """A route whose output policy has this spec."""
    document = {
        "apiVersion": "penstock/v1",
        "kind": "Output",
        "metadata": {"name": "clean"},
        "spec": policy or {"entities": {"CREDIT_CARD": {"action": "mask", "keepLast": 4}}},
    }
    loaded = load(json.dumps(document), "clean.yaml", OutputDocument)
    by = route_of(output={"policy": "clean", "mode": by_route})
    return snapshot(by.route, "r", None, {("Output", "clean"): loaded})


def request(on: RouteSnapshot | None, deadline: float = inf) -> InferRequest:
    who = Principal("u", "acme", frozenset({"infer:fraud"}))
    context = Context(who, deadline, Timeline(0.0), None, "trace", 2, route=on)
    return InferRequest("", "fraud", "", Tensors(()), {}, context)


def texts(*elements: str | bytes, name: str = "text") -> Tensors:
    data = join_bytes(each.encode() if isinstance(each, str) else each for each in elements)
    return Tensors((Tensor(name, "BYTES", (len(elements),), data),))


def chunk(text: str, finish: str | None = None) -> Chat:
    """A chunk of OpenAI's, with one choice."""
    delta = {"content": text} if text else {}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return Chat({"id": "c", "object": "chat.completion.chunk", "choices": [choice]})


def parts(*payloads: Payload) -> list[Part]:
    last = len(payloads) - 1
    return [Part(payload, "1", {}, at == last) for at, payload in enumerate(payloads)]


class Model:
    """The rest of the way: the model says its parts, a classifier gives `scores` of texts."""

    def __init__(
        self, said: Sequence[Part | Exception], scores: Callable[[str], float] | None = None
    ) -> None:
        self.said = said
        self.scores = scores
        self.judged: list[list[str]] = []
        self.asked: list[InferRequest] = []
        self.answer: Callable[[list[str]], Tensor] = self._scores
        self.closed = 0
        self.failure: PenstockError | None = None

    async def __call__(self, asked: InferRequest) -> Reply:
        if asked.model == "toxic":
            return self._judgement(asked)
        first, *rest = self.said
        if isinstance(first, Exception):
            raise first
        return Reply(first, self._rest(rest) if rest else None, self._close)

    def _judgement(self, asked: InferRequest) -> Reply:
        self.asked.append(asked)
        if self.failure is not None:
            raise self.failure
        (tensor,) = asked.payload.tensors
        rows = [each.decode() for each in split_bytes(tensor.data)]
        self.judged.append(rows)
        return Reply(Part(Tensors((self.answer(rows),)), "1", {}, True))

    def _scores(self, rows: list[str]) -> Tensor:
        scores = [0.0 if self.scores is None else self.scores(row) for row in rows]
        return to_tensor("score", np.array(scores, np.float32).reshape(-1, 1))

    async def _rest(self, rest: Sequence[Part | Exception]) -> AsyncIterator[Part]:
        for each in rest:
            await asyncio.sleep(0)
            if isinstance(each, Exception):
                raise each
            yield each

    def _close(self) -> None:
        self.closed += 1


class Models:
    """Knows the classifier: texts in rows of one column, in batches of at most `batch`."""

    def __init__(self, shape: tuple[int, ...] = (-1, 1), batch: int = 8) -> None:
        self.asking: list[Principal] = []
        self._signature = Signature("p", (TensorSpec("text", "BYTES", shape),), (), batch)

    def route(self, model: str, who: Principal) -> RouteSnapshot:
        self.asking.append(who)
        return plain_route("classifiers")

    def signature(self, route: RouteSnapshot, model: str, version: str) -> Signature:
        return self._signature


def output(models: Models | None = None) -> Output:
    return Output(models or Models(), lambda: 0.0)


async def said(reply: Reply) -> list[Part]:
    """All parts; the reply is closed behind them as a face does, also after a failure."""
    try:
        return [reply.first, *([] if reply.rest is None else [each async for each in reply.rest])]
    finally:
        reply.on_close()


async def heard(reply: Reply, said: list[Part]) -> None:
    """Adds to `said` what a client has heard, also before a failure."""
    said.append(reply.first)
    try:
        if reply.rest is not None:
            async for part in reply.rest:
                said += [part]  # one by one: a comprehension that fails gives nothing
    finally:
        reply.on_close()


def text_of(found: Sequence[Part]) -> str:
    pieces: list[str] = []
    for part in found:
        if isinstance(part.payload, Chat):
            for choice in part.payload.body["choices"]:
                message = choice.get("delta") or choice.get("message") or {}
                pieces.append(message.get("content") or "")
        else:
            pieces += [b.decode() for t in part.payload.tensors for b in split_bytes(t.data)]
    return "".join(pieces)
