"""The output filter: what a model may not say is masked or refused, whole or in pieces."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos.errors import Kind, PenstockError
from protos.service import Reply
from protos.values import Chat, Part, Tensor, Tensors
from routing.rules.snapshot import snapshot
from tests.policies.output.screened import (
    CARD,
    Model,
    chunk,
    heard,
    output,
    parts,
    request,
    route,
    said,
    text_of,
    texts,
)
from tests.routing.rules.written_routes import route as route_of

SAYS = f"Your card {CARD} is fine. Nothing else, thank you."
MASKED = "Your card **** **** **** 1111 is fine. Nothing else, thank you."
BLOCKS = {"entities": {"CREDIT_CARD": {"action": "block"}}}
PATTERNS = {
    "patterns": [
        {"name": "PROJECT", "pattern": "project [a-z]+", "action": "mask", "text": "[project]"},
        {"name": "OATH", "pattern": "blast(ed)?", "action": "mask", "ignoreCase": True},
        {"name": "ORDER", "pattern": "launch code [0-9]+", "action": "block"},
    ]
}


async def asked(model: Model, on, filter_=None) -> list[Part]:
    return await said(await (filter_ or output())(request(on), model))


async def test_a_route_without_a_policy_is_passed_by():
    model = Model(parts(texts(SAYS)))
    for on in (None, snapshot(route_of().route, "r", None)):
        assert text_of(await asked(model, on)) == SAYS


async def test_entities_are_masked_in_whole_replies():
    model = Model(parts(texts(SAYS)))
    filter_, asking = output(), request(route())
    reply = await filter_(asking, model)
    assert text_of([reply.first]) == MASKED
    assert asking.context.timeline.screened == {"CREDIT_CARD": 1}
    assert filter_.found["fraud", "enforce"] == {"CREDIT_CARD": 1}
    assert asking.context.timeline.refused == ""


async def test_patterns_are_masked_by_stars_or_by_what_is_written():
    says = "We call it Project Aurora, and project zephyr is Blasted late."
    model = Model(parts(texts(says)))
    found = text_of(await asked(model, route(**PATTERNS)))
    assert found == "We call it Project Aurora, and [project] is ******* late."


async def test_only_what_is_listed_is_looked_for():
    says = "Write to ann@example.com"
    assert text_of(await asked(Model(parts(texts(says))), route())) == says


async def test_a_blocked_reply_is_refused_with_types_and_counts():
    model = Model(parts(texts(f"{CARD} and {CARD}")))
    filter_, asking = output(), request(route(**BLOCKS))
    with pytest.raises(PenstockError) as refused:
        await filter_(asking, model)
    assert refused.value.kind is Kind.FORBIDDEN
    assert refused.value.message == ("the output policy refuses what the model says: 2 CREDIT_CARD")
    assert asking.context.timeline.refused == "output"
    assert filter_.refused == {"fraud": 1}
    assert model.closed == 1


async def test_numbers_are_not_looked_at():
    payload = Tensors((Tensor("y", "FP32", (1,), bytes(4)),))
    reply = Reply(Part(payload, "1", {}, True))

    async def model(_):
        return reply

    assert await output()(request(route()), model) is reply


async def test_bytes_that_are_no_text_are_refused_unless_they_are_listed():
    model = Model(parts(texts(b"\xff", name="image")))
    with pytest.raises(PenstockError, match=r'output "image".*the output policy') as refused:
        await asked(model, route(**BLOCKS))
    assert refused.value.kind is Kind.BAD_REPLY
    listed = route(**BLOCKS, binaryOutputs=["image"])
    assert (await asked(model, listed))[0].payload == texts(b"\xff", name="image")


@pytest.mark.parametrize(("mode", "own"), [("observe", "enforce"), ("enforce", "observe")])
async def test_observing_counts_and_changes_nothing(mode: str, own: str):
    filter_ = output()
    on = route(mode, mode=own, **BLOCKS)
    whole, pieces = parts(texts(SAYS)), parts(texts(SAYS[:15]), texts(SAYS[15:]))
    assert await asked(Model(whole), on, filter_) == whole
    assert await asked(Model(pieces), on, filter_) == pieces
    assert filter_.found["fraud", "observe"] == {"CREDIT_CARD": 2}
    assert not filter_.refused


async def test_placeholders_of_a_privacy_policy_are_left():
    says = "Dear [EMAIL_4F7K2Q], your number is [CREDIT_CARD_AAAAAA_2]."
    on = route(entities={each: {"action": "block"} for each in ("EMAIL", "CREDIT_CARD", "API_KEY")})
    assert text_of(await asked(Model(parts(texts(says))), on)) == says


async def test_openais_replies_are_looked_at_in_all_their_texts():
    function = {"name": "pay", "arguments": f'{{"n": "{CARD}"}}'}
    call = {"id": "1", "type": "function", "function": function}
    message = {"role": "assistant", "content": SAYS, "tool_calls": [call]}
    whole = Chat({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    (part,) = await asked(Model(parts(whole)), route())
    (choice,) = part.payload.body["choices"]
    assert choice["message"]["content"] == MASKED
    arguments = choice["message"]["tool_calls"][0]["function"]["arguments"]
    assert arguments == '{"n": "**** **** **** 1111"}'


async def test_a_stream_says_everything_before_the_chunk_that_ends_it():
    pieces = [chunk(SAYS[:12]), chunk(SAYS[12:30]), chunk(SAYS[30:]), chunk("", finish="stop")]
    found = await asked(Model(parts(*pieces)), route())
    assert text_of(found) == MASKED
    assert found[-1].payload.body["choices"][0]["finish_reason"] == "stop"
    assert text_of(found[-1:]) == ""


async def test_a_block_in_mid_stream_ends_it_before_anything_of_the_finding_is_said():
    pieces = [texts(each) for each in ("All is fine with me. ", "It is 4111 1111 ", "1111 1111.")]
    reply = await output()(request(route(**BLOCKS)), (model := Model(parts(*pieces))))
    found: list[Part] = []
    with pytest.raises(PenstockError, match="what the model says: 1 CREDIT_CARD"):
        await heard(reply, found)
    assert text_of(found)
    assert "All is fine with me. ".startswith(text_of(found))
    assert model.closed == 1


def cut(text: str, places: list[int]) -> list[str]:
    ends = sorted({place % (len(text) + 1) for place in places})
    return [text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]


WORDS = ["fine", "project", "zephyr", CARD, "blasted", "no.", "Yes!\n", "launch code", "7", "[x]"]
ON = route(**PATTERNS, entities={"CREDIT_CARD": {"action": "mask"}})


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join),
    st.lists(st.integers(0, 500), max_size=8),
)
async def test_however_a_reply_is_cut_the_same_is_said(text: str, places: list[int]):
    async def outcome(pieces: list[str]) -> str:
        try:
            return text_of(await asked(Model(parts(*map(texts, pieces))), ON))
        except PenstockError as refused:
            return refused.message

    assert await outcome(cut(text, places)) == await outcome([text])


async def test_letter_by_letter_is_no_different():
    rng = random.Random(2)
    for _ in range(5):
        text = " ".join(rng.choices(WORDS[:7], k=20))
        letters = [chunk(letter) for letter in text] + [chunk("", finish="stop")]
        found = await asked(Model(parts(*letters)), ON)
        assert text_of(found) == text_of(await asked(Model(parts(texts(text))), ON))


async def test_a_chunk_of_unknown_form_is_refused_and_not_passed_on():
    strange = Chat({"choices": [{"index": 0, "delta": {"inner_voice": f"it is {CARD}"}}]})
    reply = await output()(request(route()), Model(parts(chunk("Fine. "), strange)))
    with pytest.raises(PenstockError) as refused:
        await said(reply)
    assert refused.value.kind is Kind.BAD_REPLY
    assert "4111" not in refused.value.message


async def test_a_failure_while_looking_is_no_way_through(monkeypatch: pytest.MonkeyPatch):
    def broken(*_, **__):
        raise RuntimeError(CARD)

    on, filter_ = route(), output()
    filter_.prepare([on])
    monkeypatch.setattr("policies.pii.redactor.Redactor.find", broken)
    with pytest.raises(PenstockError, match="incident") as refused:
        await asked(Model(parts(texts(SAYS))), on, filter_)
    assert refused.value.kind is Kind.INTERNAL


async def test_a_route_whose_policy_is_not_there_refuses():
    on = snapshot(route_of(output={"policy": "clean"}).route, "r", None, {})
    with pytest.raises(PenstockError, match="not loaded"):
        await asked(Model(parts(texts(SAYS))), on)


async def test_what_was_ready_stays_ready_when_routes_are_loaded_anew(
    monkeypatch: pytest.MonkeyPatch,
):
    on, filter_ = route(), output()
    filter_.prepare([on])
    monkeypatch.setattr("policies.output.filter.Redactor", None)  # nothing can be made any more
    filter_.prepare([on])
    assert text_of(await asked(Model(parts(texts(SAYS))), on, filter_)) == MASKED
