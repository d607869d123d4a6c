"""Replies that a model streams through the privacy filter, cut in every way."""

import json
import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from itertools import pairwise
from math import inf
from typing import Any, Protocol

from policies.pii.settings import PrivacyDocument
from policies.privacy import Privacy
from protos.arrays import join_bytes, split_bytes
from protos.principal import Principal
from protos.route.snapshot import RouteSnapshot
from protos.service import Reply
from protos.strict_yaml import load
from protos.timeline import Timeline
from protos.values import Chat, Context, InferRequest, Part, Payload, Tensor, Tensors
from routing.rules.snapshot import snapshot
from tests.policies.pii.identifiers import IDENTIFIERS
from tests.policies.pii.sentences import person
from tests.routing.rules.written_routes import privacy, route

# What a decision may hang on: words that make numbers count, disguises, cuts, text that only begins
# like something, and things that look like placeholders.
_SCRAPS = (
    *("the invoice was sent to our office. ", "is my passport ", "order ", "[EMAIL_", "[1]"),
    *("bo\u200bb@example.com ", "alice&#64;example.com", "4111 1111 1111 ", '{"ssn": "', '"}\n'),
    *("汉字", "é", "\u200b" * 20, "&amp;", "\\n", "%41", "+1 (41", "[CREDIT_CARD_ABCDEF]", "]"),
)

ROUTE: RouteSnapshot = snapshot(
    route(privacy={"policy": "bank"}).route,
    "r",
    None,
    {("Privacy", "bank"): load(privacy("bank"), "bank.yaml", PrivacyDocument)},
)


def filtering() -> Privacy:
    made = Privacy(lambda: b"sixteen bytes ok", lambda: 0.0)
    made.prepare([ROUTE])
    return made


Answers = Callable[[str], list[str]]  # what a model says to what it sees: two texts


class Form(Protocol):
    """How requests and replies look; a reply says two texts at a time."""

    def request(self, text: str) -> Payload: ...
    def seen(self, request: Payload) -> str: ...
    def reply(self, pieces: Iterable[tuple[int, str]]) -> list[Part]: ...
    def heard(self, part: Part) -> Iterable[tuple[int, str]]: ...


class Elements:
    """BYTES tensors of two elements."""

    def request(self, text: str) -> Payload:
        return _bytes(text)

    def seen(self, request: Payload) -> str:
        return split_bytes(request.tensors[0].data)[0].decode()

    def reply(self, pieces: Iterable[tuple[int, str]]) -> list[Part]:
        said = [_bytes(*((piece, "") if at == 0 else ("", piece))) for at, piece in pieces]
        return [*(Part(each, "1", {}, False) for each in said), Part(Tensors(()), "1", {}, True)]

    def heard(self, part: Part) -> Iterable[tuple[int, str]]:
        for tensor in part.payload.tensors:
            yield from enumerate(each.decode() for each in split_bytes(tensor.data))


class Chats:
    """Chunks of two choices."""

    def request(self, text: str) -> Payload:
        return Chat({"messages": [{"role": "user", "content": text}]})

    def seen(self, request: Payload) -> str:
        assert isinstance(request, Chat)
        return str(request.body["messages"][0]["content"])

    def reply(self, pieces: Iterable[tuple[int, str]]) -> list[Part]:
        return [*(self._chunk(at, self.delta(piece)) for at, piece in pieces), *self._ends()]

    def heard(self, part: Part) -> Iterable[tuple[int, str]]:
        if isinstance(part.payload, Chat):
            for choice in part.payload.body["choices"]:
                assert choice.get("finish_reason") is None or not self.said(choice["delta"])
                yield choice["index"], self.said(choice["delta"])

    def delta(self, piece: str) -> dict[str, Any]:
        return {"content": piece}

    def said(self, delta: dict[str, Any]) -> str:
        return delta.get("content") or ""

    def _ends(self) -> list[Part]:
        return [
            self._chunk(1, {}, "stop"),
            self._chunk(0, {}, "stop"),
            Part(Tensors(()), "1", {}, True),
        ]

    def _chunk(self, at: int, delta: dict[str, Any], finish: str | None = None) -> Part:
        choice = {"index": at, "delta": delta, "finish_reason": finish}
        return Part(Chat({"id": "c", "model": "m", "choices": [choice]}), "1", {}, False)


class Calls(Chats):
    """Chunks of two choices that call a tool each."""

    def delta(self, piece: str) -> dict[str, Any]:
        return {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}

    def said(self, delta: dict[str, Any]) -> str:
        return "".join(each["function"]["arguments"] for each in delta.get("tool_calls") or ())


FORMS: tuple[Form, ...] = (Elements(), Chats(), Calls())


def conversation(rng: random.Random) -> tuple[str, Answers]:
    """What a requester sends, and two texts that a model makes of what it sees of that."""
    entities = [*IDENTIFIERS]
    asked = " ".join(person(rng.choice(entities), rng)[0] for _ in range(rng.randrange(1, 4)))

    def answer(seen: str) -> str:
        pieces: list[str] = []
        for _ in range(rng.randrange(1, 8)):
            kind = rng.random()
            if kind < 0.35:
                pieces.append(seen)
            elif kind < 0.55:
                pieces.append(person(rng.choice(entities), rng)[0])
            else:
                pieces.append(rng.choice(_SCRAPS))
            if rng.random() < 0.2:
                pieces[-1] = pieces[-1][: rng.randrange(len(pieces[-1]) + 1)]
        return "".join(pieces)

    return asked, lambda seen: [answer(seen), answer(seen)]


def cut(texts: Sequence[str], rng: random.Random) -> list[tuple[int, str]]:
    """The texts in pieces, some of them empty, in turns."""
    waiting = []
    for text in texts:
        places = sorted(rng.randrange(len(text) + 1) for _ in range(rng.choice((1, 3, 10, 60))))
        waiting.append([text[start:end] for start, end in pairwise((0, *places, len(text)))])
    pieces: list[tuple[int, str]] = []
    while any(waiting):
        at = rng.choice([at for at, rest in enumerate(waiting) if rest])
        pieces.append((at, waiting[at].pop(0)))
    return pieces


async def heard(
    filter_: Privacy, form: Form, asked: str, answers: Answers, rng: random.Random | None
) -> list[str]:
    """The two texts that the requester gets, of a reply that is cut by chance, or not at all."""

    async def model(request: InferRequest) -> Reply:
        said = answers(form.seen(request.payload))
        pieces = list(enumerate(said)) if rng is None else cut(said, rng)
        first, *rest = form.reply(pieces)
        return Reply(first, _given(rest))

    context = Context(Principal("u", "acme", frozenset()), inf, Timeline(0.0), route=ROUTE)
    reply = await filter_(InferRequest("", "m", "", form.request(asked), {}, context), model)
    texts = ["", ""]
    for part in [reply.first, *[part async for part in reply.rest or _given([])]]:
        for at, text in form.heard(part):
            texts[at] += text
    return texts


async def differences(form: Form, rng: random.Random, filter_: Privacy, ways: int) -> int:
    """How many of so many ways to cut a reply give another text than the uncut one."""
    asked, answer = conversation(rng)
    said: list[str] = []

    def answers(seen: str) -> list[str]:
        return said or (said.extend(answer(seen)) or said)

    whole = await heard(filter_, form, asked, answers, None)
    return sum([await heard(filter_, form, asked, answers, rng) != whole for _ in range(ways)])


async def losses(form: Form, rng: random.Random, filter_: Privacy, ways: int) -> int:
    """How many of so many ways to cut an echo give the requester anything but what they sent."""
    asked, _ = conversation(rng)

    def echo(seen: str) -> list[str]:
        # Arguments of tools are JSON, in which values are escaped.
        said = json.dumps([seen]) if isinstance(form, Calls) else seen
        return [said, said]

    lost = 0
    for _ in range(ways):
        got = await heard(filter_, form, asked, echo, rng)
        read = [json.loads(each)[0] for each in got] if isinstance(form, Calls) else got
        lost += read != [asked, asked]
    return lost


async def _given(parts: Sequence[Part]) -> AsyncIterator[Part]:
    for part in parts:
        yield part


def _bytes(*elements: str) -> Tensors:
    data = join_bytes(element.encode() for element in elements)
    return Tensors((Tensor("text", "BYTES", (len(elements),), data),))
