"""The privacy filter: what the model gets, what the requester gets, and what nobody gets."""

import asyncio
import json
import logging
import struct
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from math import inf
from typing import Any

import pytest

from policies.pii.redactor import Redactor
from policies.pii.settings import PrivacyDocument
from policies.pii.steps import SLICE
from policies.privacy import Privacy
from protos.arrays import join_bytes, split_bytes
from protos.errors import Kind, PenstockError
from protos.principal import Principal
from protos.route.snapshot import RouteSnapshot
from protos.service import Reply
from protos.strict_yaml import load
from protos.timeline import Timeline
from protos.values import Chat, Context, InferRequest, Part, Tensor, Tensors
from routing.rules.snapshot import snapshot
from tests.policies.pii.finding import KEY
from tests.routing.rules.written_routes import privacy as written
from tests.routing.rules.written_routes import route as route_of

EMAIL = "bob@example.com"


def route(mode: str = "enforce", policy_mode: str = "enforce", **policy: Any) -> RouteSnapshot:
    document = load(written("bank", mode=policy_mode, **policy), "bank.yaml", PrivacyDocument)
    loaded = route_of(privacy={"policy": "bank", "mode": mode})
    return snapshot(loaded.route, "r", None, {("Privacy", "bank"): document})


def bytes_of(*elements: str | bytes, name: str = "text") -> Tensors:
    data = join_bytes(e.encode() if isinstance(e, str) else e for e in elements)
    return Tensors((Tensor(name, "BYTES", (len(elements),), data),))


def words(part: Part) -> list[str]:
    return [each.decode() for t in part.payload.tensors for each in split_bytes(t.data)]


def spoken(parts: Sequence[Part]) -> str:
    return "".join(word for each in parts for word in words(each))


def request(
    payload: Any = None, on: RouteSnapshot | None = None, deadline: float = inf, **more: Any
) -> InferRequest:
    context = Context(Principal("u", "acme", frozenset()), deadline, Timeline(0.0), route=on)
    asked = InferRequest("", "fraud", "", Tensors(()), {}, context)
    return replace(asked, payload=payload or bytes_of(f"I am {EMAIL}"), **more)


def made(key: bytes = KEY) -> Privacy:
    return Privacy(lambda: key, lambda: 0.0)


def part(payload: Any, *, final: bool = True) -> Part:
    return Part(payload, "3", {}, final)


class Model:
    """Says what it was told to, and remembers what it was asked and that it was let go."""

    def __init__(self, *parts: Part | Exception) -> None:
        self.parts = parts
        self.asked: list[InferRequest] = []
        self.closed = 0

    async def __call__(self, asked: InferRequest) -> Reply:
        self.asked.append(asked)
        first, *rest = self.parts or (part(asked.payload),)
        if isinstance(first, Exception):
            raise first
        return Reply(first, self._rest(rest) if rest else None, self._close)

    async def _rest(self, parts: Sequence[Part | Exception]) -> AsyncIterator[Part]:
        for each in parts:
            await asyncio.sleep(0)
            if isinstance(each, Exception):
                raise each
            yield each

    def _close(self) -> None:
        self.closed += 1


async def all_of(reply: Reply) -> list[Part]:
    rest = [] if reply.rest is None else [each async for each in reply.rest]
    reply.on_close()
    return [reply.first, *rest]


async def test_a_route_without_a_policy_is_passed_by() -> None:
    model = Model()
    asked = request(on=snapshot(route_of().route, "r", None))
    await made()(asked, model)
    await made()(request(), model)
    assert model.asked[0] is asked


async def test_the_model_sees_placeholders_and_the_requester_their_values() -> None:
    model = Model()
    asked = request(on=route())
    reply = await made()(asked, model)

    assert words(reply.first) == [f"I am {EMAIL}"]
    (seen,) = split_bytes(model.asked[0].payload.tensors[0].data)
    assert seen.startswith(b"I am [EMAIL_")
    assert asked.context.timeline.found == {"EMAIL": 1}


async def test_tensors_without_text_pass_as_they_are() -> None:
    model = Model()
    asked = request(Tensors((Tensor("x", "FP32", (1,), bytes(4)),)), on=route())
    reply = await made()(asked, model)

    assert model.asked == [asked]
    assert model.asked[0] is asked
    assert reply.first.payload is asked.payload


@pytest.mark.parametrize("on", [route("observe"), route(mode="enforce", policy_mode="observe")])
async def test_observing_counts_and_changes_nothing(on: RouteSnapshot) -> None:
    model = Model(part(bytes_of(f"hi {EMAIL}", b"\xff"), final=False), part(bytes_of(" bye")))
    filter_ = made()
    asked = request(on=on)

    parts = await all_of(await filter_(asked, model))

    assert model.asked[0] is asked
    assert [each.payload for each in parts] == [each.payload for each in model.parts]
    assert filter_.found["fraud", "observe"] == {"EMAIL": 2}
    assert not filter_.refused


async def test_what_is_blocked_never_reaches_the_model() -> None:
    model = Model()
    filter_ = made()
    asked = request(on=route(default={"action": "block"}))
    with pytest.raises(PenstockError, match="1 EMAIL") as caught:
        await filter_(asked, model)

    assert caught.value.row.http == 403
    assert EMAIL not in str(caught.value)
    assert not model.asked
    assert filter_.refused == {"fraud": 1}
    assert asked.context.timeline.found == {"EMAIL": 1}


async def test_a_reply_that_can_not_be_read_is_refused_and_let_go() -> None:
    model = Model(part(bytes_of(b"\xff")))
    with pytest.raises(PenstockError, match="binaryOutputs") as caught:
        await made()(request(on=route()), model)

    assert caught.value.kind is Kind.BAD_REPLY
    assert model.closed == 1

    listed = Model(part(bytes_of(b"\xff")))
    await made()(request(on=route(binaryOutputs=["text"])), listed)
    assert listed.closed == 0


async def test_what_models_quote_in_errors_is_redacted_and_not_restored() -> None:
    failure = PenstockError(
        Kind.MODEL_FAILED, "can't read 'eve@example.com'", retry_after=2.0, param="a@example.com"
    )
    with pytest.raises(PenstockError) as caught:
        await made()(request(on=route()), Model(failure))

    assert caught.value.kind is Kind.MODEL_FAILED
    assert caught.value.retry_after == 2.0
    assert "example.com" not in f"{caught.value.message} {caught.value.param}"
    assert caught.value.message.startswith("can't read '[EMAIL_")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_errors_in_mid_stream_are_redacted_as_well() -> None:
    failure = PenstockError(Kind.MODEL_FAILED, "can't read 'eve@example.com'")
    model = Model(part(bytes_of("a"), final=False), failure)
    reply = await made()(request(on=route()), model)

    with pytest.raises(PenstockError, match=r"can't read '\[EMAIL_"):
        await all_of(reply)


async def test_a_failure_of_redaction_is_no_way_past_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError(f"no idea what {EMAIL} is")

    filter_, asked, model = made(), request(on=route()), Model()
    monkeypatch.setattr(Redactor, "find", fail)
    with caplog.at_level(logging.ERROR), pytest.raises(PenstockError, match="incident") as caught:
        await filter_(asked, model)

    assert caught.value.kind is Kind.INTERNAL
    assert not model.asked
    assert "ValueError" in caplog.text
    assert EMAIL not in caplog.text


async def test_an_error_that_can_not_be_told_clean_is_told_without_its_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = request(Tensors((Tensor("x", "FP32", (1,), bytes(4)),)), on=route())
    filter_ = made()
    filter_.prepare([asked.context.route])

    def fail(*_: object, **__: object) -> None:
        raise ValueError

    model = Model(PenstockError(Kind.MODEL_FAILED, f"what is {EMAIL}?"))
    await filter_(asked, Model())  # so that the names are known
    monkeypatch.setattr(Redactor, "find", fail)
    with pytest.raises(PenstockError, match="the model failed; what it says") as caught:
        await filter_(asked, model)
    assert EMAIL not in caught.value.message


async def test_without_a_key_requests_of_the_route_are_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def none() -> bytes:
        raise OSError("read-only")

    filter_ = Privacy(none, lambda: 0.0)
    asked, model = request(on=route()), Model()
    filter_.prepare([asked.context.route])
    assert "route fraud refuses its requests" in caplog.text

    with pytest.raises(PenstockError) as caught:
        await filter_(asked, model)
    assert caught.value.kind is Kind.INTERNAL
    assert not model.asked


async def test_a_policy_that_did_not_change_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    filter_ = Privacy(lambda: asked.append(1) or KEY, lambda: 0.0)
    first = route()
    again = replace(first, revision="other")
    filter_.prepare([first])
    filter_.prepare([again])
    assert asked == [1]
    await filter_(request(on=first), Model())
    assert asked == [1]


async def test_long_texts_let_others_have_their_turn_and_heed_the_deadline() -> None:
    turns = 0
    now = 0.0
    filter_ = Privacy(lambda: KEY, lambda: now)
    text = f"Write to {EMAIL}, please.\n" * 2000
    asked = request(bytes_of(text), on=route(), deadline=10.0)

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(count())
    reply = await filter_(asked, Model())
    assert words(reply.first) == [text]
    assert turns > 5
    now = 11.0
    with pytest.raises(PenstockError) as caught:
        await filter_(asked, Model())
    assert caught.value.kind is Kind.DEADLINE
    other.cancel()


async def test_a_stream_is_held_back_only_while_it_must_be() -> None:
    model = Model(
        part(bytes_of("Mail bo"), final=False),
        part(bytes_of("b@exam"), final=False),
        part(bytes_of("ple.com, now."), final=False),
        part(Tensors(())),
    )
    parts = await all_of(await made()(request(on=route()), model))

    texts = [words(each) for each in parts]
    assert texts[0] == ["Mail "]
    assert spoken(parts) == f"Mail {EMAIL}, now."
    assert [each.final for each in parts] == [False] * (len(parts) - 1) + [True]
    assert model.closed == 1


def chunk(delta: dict[str, Any], finish: str | None = None, index: int = 0, **more: Any) -> Part:
    choice = {"index": index, "delta": delta, "finish_reason": finish, **more}
    return part(
        Chat({"id": "c1", "object": "chat.completion.chunk", "choices": [choice]}), final=False
    )


def chat(text: str) -> Chat:
    return Chat({"model": "fraud", "messages": [{"role": "user", "content": text}]})


async def test_what_is_held_is_said_before_a_choice_finishes() -> None:
    model = Model(
        chunk({"role": "assistant", "content": "I wrote to bo"}),
        chunk({"content": "b@example.com"}),
        chunk({}, "stop"),
        part(Tensors(())),
    )
    parts = await all_of(await made()(request(chat(f"I am {EMAIL}"), on=route()), model))

    said = [each.payload.body["choices"][0] for each in parts[:-1]]
    assert "".join(each["delta"].get("content") or "" for each in said) == f"I wrote to {EMAIL}"
    assert said[-1]["finish_reason"] == "stop"
    assert not said[-1]["delta"].get("content")
    assert parts[-1].final


async def test_choices_and_tools_have_buffers_of_their_own() -> None:
    def call(index: int, text: str) -> dict[str, Any]:
        return {"tool_calls": [{"index": index, "function": {"arguments": text}}]}

    model = Model(
        chunk({"content": "bob@exa"}),
        chunk({"content": "bob@exa"}, index=1),
        chunk(call(0, '{"to": "bob@')),
        chunk(call(1, '{"to": "eve@')),
        chunk({"content": "mple.com"}),
        chunk({"content": "mple.org"}, index=1),
        chunk(call(1, 'example.com"}')),
        chunk(call(0, 'example.com"}')),
        chunk({}, "stop", index=1),
        chunk({}, "tool_calls"),
        part(Tensors(())),
    )
    parts = await all_of(await made()(request(chat(f"I am {EMAIL}"), on=route()), model))

    texts: dict[tuple[Any, ...], str] = {}
    for each in parts[:-1]:
        for choice in each.payload.body["choices"]:
            delta, at = choice["delta"], choice["index"]
            texts[at, "text"] = texts.get((at, "text"), "") + (delta.get("content") or "")
            for one in delta.get("tool_calls") or ():
                key = (at, one["index"])
                texts[key] = texts.get(key, "") + one["function"]["arguments"]
    assert texts[0, "text"] == EMAIL
    assert texts[1, "text"].startswith("[EMAIL_")
    assert texts[0, 0] == f'{{"to": "{EMAIL}"}}'
    assert texts[0, 1].startswith('{"to": "[EMAIL_')


@pytest.mark.parametrize(
    "delta", [{"thought": "bob@example.com"}, {"content": [{"type": "text", "text": "bob"}]}]
)
async def test_chunks_of_a_form_that_is_not_known_end_the_stream(delta: dict[str, Any]) -> None:
    model = Model(chunk({"content": "a"}), chunk(delta), chunk({}, "stop"), part(Tensors(())))
    reply = await made()(request(chat("hello"), on=route()), model)
    with pytest.raises(PenstockError, match="no policy can follow") as caught:
        await all_of(reply)
    assert caught.value.kind is Kind.BAD_REPLY


@pytest.mark.parametrize(
    "more",
    [{"usage": {"raven@example.com": 3}}, {"card": 4111111111111111}, {"x": {"raven@x.com": None}}],
)
async def test_keys_and_numbers_of_chunks_are_texts_of_their_own(more: dict[str, Any]) -> None:
    first = chunk({"content": "hello bo"})
    body = {**first.payload.body, **more}
    model = Model(
        replace(first, payload=Chat(body)), chunk({"content": "b"}, "stop"), part(Tensors(()))
    )
    parts = await all_of(await made()(request(chat("hello"), on=route()), model))
    told = json.dumps([each.payload.body for each in parts[:-1]])
    assert "raven@" not in told
    assert "4111111111111111" not in told
    assert "_" in told.partition('"choices"')[0]


async def test_the_name_of_a_tool_comes_whole_and_may_be_said_again() -> None:
    def call(name: str) -> Part:
        function = {"name": name, "arguments": ""}
        return chunk({"tool_calls": [{"index": 0, "function": function}]})

    end = chunk({}, "tool_calls"), part(Tensors(()))
    again = Model(call("weather"), call("weather"), call(""), *end)
    await all_of(await made()(request(chat("hello"), on=route()), again))

    pieces = Model(call("raven@exa"), call("mple.com"), *end)
    reply = await made()(request(chat("hello"), on=route()), pieces)
    with pytest.raises(PenstockError, match="name of a tool in pieces") as caught:
        await all_of(reply)
    assert caught.value.kind is Kind.BAD_REPLY


async def test_long_arguments_of_tools_let_others_have_their_turn() -> None:
    arguments = json.dumps([f"bob{number}@example.com" for number in range(2000)])
    pieces = [arguments[start : start + 4000] for start in range(0, len(arguments), 4000)]
    turns = 0

    class Clock:
        def __call__(self) -> float:
            nonlocal turns
            turns += 1  # asked between two steps
            return 0.0

    model = Model(
        *[chunk({"tool_calls": [{"index": 0, "function": {"arguments": p}}]}) for p in pieces],
        chunk({}, "tool_calls"),
        part(Tensors(())),
    )
    reply = await Privacy(lambda: KEY, Clock())(request(chat("hello"), on=route()), model)
    parts = await all_of(reply)
    assert "bob7@" not in json.dumps([each.payload.body for each in parts[:-1]])
    assert turns > len(arguments) // SLICE


async def test_tokens_that_spell_the_text_are_left_out_of_chunks() -> None:
    spelled = {"content": [{"token": "bob@example.com", "bytes": [98]}]}
    model = Model(chunk({"content": "a"}, logprobs=spelled), chunk({}, "stop"), part(Tensors(())))
    parts = await all_of(await made()(request(chat("hello"), on=route()), model))
    assert parts[0].payload.body["choices"][0]["logprobs"] is None


async def test_a_model_that_says_in_mid_stream_what_is_blocked_is_cut_off() -> None:
    model = Model(
        part(bytes_of("Fine, then. "), final=False),
        part(bytes_of("Write to eve@example.com, they said."), final=False),
        part(Tensors(())),
    )
    asked = request(bytes_of("hello"), on=route(default={"action": "block"}))
    reply = await made()(asked, model)
    given = [reply.first]
    with pytest.raises(PenstockError, match="1 EMAIL") as caught:
        given += [each async for each in reply.rest or ()]  # type: ignore[union-attr]
    assert caught.value.kind is Kind.FORBIDDEN
    assert "eve" not in spoken(given)


def test_answers_are_kept_redacted_and_joined_where_the_policy_redacts() -> None:
    filter_ = made()
    said = [part(bytes_of("I am bob@exa"), final=False), part(bytes_of("mple.com"))]
    scores = [part(Tensors((Tensor("y", "FP32", (1,), struct.pack("<f", 0.5)),)))]

    kept = json.loads(filter_.answers(route(), said, scores))

    assert kept["primary"]["text"][0].startswith("I am [EMAIL_")
    assert kept["candidate"] == {"y": [0.5]}
    assert filter_.sentence(route(), "bob@example.com").startswith("[EMAIL_")
    assert filter_.sentence(route("observe"), EMAIL) == EMAIL
    assert filter_.answers(route("observe"), said, scores) == ""
    assert filter_.answers(snapshot(route_of().route, "r", None), said, scores) == ""


async def test_the_name_under_which_a_request_is_recorded_is_redacted() -> None:
    numbers = Tensors((Tensor("x", "FP32", (1,), bytes(4)),))
    for given, kept in (
        ("4111-1111-1111-1111", "[CREDIT_CARD#"),
        ("4111111111111111", "[CREDIT_CARD#"),
        ("be68539007547034", "[IBAN#"),
        ("GB-536-90-4399--", "GB-[US_SSN#"),
        ("0123456789abcdef", "0123456789abcdef"),
        ("order-7", "order-7"),
    ):
        asked = request(numbers, on=route())
        asked.context.timeline.request_id = given
        await made()(asked, Model())
        assert asked.context.timeline.request_id.startswith(kept)


async def test_an_id_that_was_made_here_is_recorded_as_it_is() -> None:
    asked = request(Tensors((Tensor("x", "FP32", (1,), bytes(4)),)), on=route())
    asked.context.timeline.request_id = "4111111111111111"
    asked.context.timeline.named_here = True
    await made()(asked, Model())
    assert asked.context.timeline.request_id == "4111111111111111"


def test_the_name_of_a_model_is_recorded_unless_somebody_is_in_it() -> None:
    filter_ = made()
    assert filter_.named(route(), "gpt-7") == "gpt-7"
    assert filter_.named(route(), f"gpt-{EMAIL}") == "other"
    assert filter_.named(route("observe"), f"gpt-{EMAIL}") == f"gpt-{EMAIL}"
    assert filter_.named(snapshot(route_of().route, "r", None), EMAIL) == EMAIL

    def none() -> bytes:
        raise OSError("read-only")

    assert Privacy(none, lambda: 0.0).named(route(), "gpt-7") == "other"


async def test_a_stream_of_json_gets_values_in_the_form_of_json() -> None:
    own = {"patterns": [{"entity": "ACCOUNT", "pattern": r"CORP\\[a-z]+"}]}
    body = {**chat(r"I am CORP\bob").body, "response_format": {"type": "json_object"}}
    asked = request(Chat(body), on=route(**own))

    async def model(seen: InferRequest) -> Reply:
        place = seen.payload.body["messages"][0]["content"].removeprefix("I am ")
        parts = [chunk({"content": f'{{"who": "{place}"}}'}), chunk({}, "stop"), part(Tensors(()))]
        return await Model(*parts)(seen)

    parts = await all_of(await made()(asked, model))
    said = "".join(
        each.payload.body["choices"][0]["delta"].get("content") or "" for each in parts[:-1]
    )
    assert json.loads(said) == {"who": r"CORP\bob"}
