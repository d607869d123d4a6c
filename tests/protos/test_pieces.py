"""Parts of streamed replies: which texts they carry on, and parts that say something else."""

from typing import Any

import pytest

from protos.arrays import join_bytes, split_bytes
from protos.errors import Kind, PenstockError
from protos.pieces import Channel, finished, rewriting, saying
from protos.values import Chat, Embedding, JsonObject, Payload, Prompt, Tensor, Tensors
from tests.protos.walking import walked


def elements(name: str, *given: bytes) -> Tensor:
    return Tensor(name, "BYTES", (len(given),), join_bytes(given))


def chunk(delta: JsonObject, **more: Any) -> Chat:
    return Chat({"id": "c", "model": "m", "choices": [{"index": 1, "delta": delta, **more}]})


def found(payload: Payload) -> list[tuple[Channel | None, str | None]]:
    pieces: list[tuple[Channel | None, str | None]] = []
    walked(rewriting(payload), pieces.append)
    return pieces


def shouted(payload: Payload) -> Payload:
    return walked(rewriting(payload), lambda piece: piece[1] and piece[1].upper())


def test_elements_of_bytes_are_channels() -> None:
    numbers = Tensor("n", "FP32", (1,), bytes(4))
    payload = Tensors((numbers, elements("t", b"a", b"\xff")))
    assert found(payload) == [(("t", 0), "a"), (("t", 1), None)]

    after = shouted(payload)
    assert after.tensors[0] is numbers
    assert split_bytes(after.tensors[1].data) == [b"A", b"\xff"]


def test_fields_of_choices_are_channels_and_other_strings_stand_for_themselves() -> None:
    call = {"index": 2, "id": "x", "type": "function", "function": {"name": "f", "arguments": "{"}}
    payload = chunk({"role": "assistant", "content": "a", "reasoning": "b", "tool_calls": [call]})

    assert sorted(found(payload), key=str) == sorted(
        [
            *[(None, each) for each in ("c", "m", "x")],
            ((1, "tool_calls", 2, "name"), "f"),
            ((1, "content"), "a"),
            ((1, "reasoning"), "b"),
            ((1, "tool_calls", 2), "{"),
        ],
        key=str,
    )


def test_completions_have_their_text() -> None:
    payload = Prompt({"id": "c", "choices": [{"text": "a"}, {"index": 4, "text": "b"}]})
    assert [each for each in found(payload) if each[0]] == [((0, "text"), "a"), ((4, "text"), "b")]
    after = shouted(payload)
    assert isinstance(after, Prompt)
    assert [each["text"] for each in after.body["choices"]] == ["A", "B"]


def test_what_is_not_text_passes_as_it_is() -> None:
    payload = Chat({"created": 7, "usage": {"total_tokens": 3}, "choices": [], "x": None, "y": ""})
    assert walked(rewriting(payload), lambda piece: piece[1]) == payload


@pytest.mark.parametrize(
    "payload",
    [
        chunk({"thoughts": "bob"}),
        chunk({"role": "bob"}),
        chunk({"content": [{"type": "text", "text": "bob"}]}),
        chunk({"audio": {"transcript": "bob"}}),
        chunk({}, message={"content": "bob"}),
        chunk({"tool_calls": [{"function": {"arguments": {"who": "bob"}}}]}),
        Chat({"choices": [], "error": {"message": "bob"}}),
        Chat({"choices": {"0": 1}}),
        Chat({"choices": ["bob"]}),
        chunk({"content": "a"}, index="bob"),
        Embedding({"data": []}),
    ],
    ids=range(11),
)
def test_text_where_nobody_could_follow_it_is_refused(payload: Payload) -> None:
    with pytest.raises(PenstockError) as caught:
        found(payload)
    assert caught.value.kind is Kind.BAD_REPLY
    assert "bob" not in caught.value.message


def test_choices_finish_by_their_reason() -> None:
    choices = [{"index": 3, "finish_reason": "stop"}, {"finish_reason": None}, {}]
    assert finished(Chat({"choices": choices})) == {3}
    assert finished(Chat({"choices": []})) == frozenset()
    assert finished(Tensors(())) == frozenset()


def test_a_part_says_something_else_in_the_same_form() -> None:
    like = Tensors((Tensor("n", "FP32", (1,), bytes(4)), elements("t", b"a", b"b")))
    assert saying(like, {("t", 1): "c"}) == Tensors((elements("t", b"", b"c"),))


@pytest.mark.parametrize(
    ("channel", "delta"),
    [
        ((1, "content"), {"content": "c"}),
        ((1, "tool_calls", 2), {"tool_calls": [{"index": 2, "function": {"arguments": "c"}}]}),
        ((1, "function_call"), {"function_call": {"arguments": "c"}}),
    ],
)
def test_a_chunk_says_something_else_under_its_own_head(
    channel: Channel, delta: JsonObject
) -> None:
    said = saying(chunk({"content": "a"}, finish_reason="stop"), {channel: "c"})

    assert isinstance(said, Chat)
    assert (said.body["id"], said.body["model"]) == ("c", "m")
    (choice,) = said.body["choices"]
    assert (choice["index"], choice["delta"], choice["finish_reason"]) == (1, delta, None)
    assert [text for at, text in found(said) if at == channel] == ["c"]


def test_a_completion_says_something_else() -> None:
    said = saying(Prompt({"id": "c", "choices": []}), {(0, "text"): "c"})
    assert [each for each in found(said) if each[0]] == [((0, "text"), "c")]


def test_keys_of_nobodys_and_long_numbers_stand_for_themselves() -> None:
    payload = Chat({"created": 1_700_000_000, "usage": {"total_tokens": 10**9, "bob": -(10**9)}})
    assert found(payload) == [(None, "bob"), (None, "1000000000")]
    after = walked(rewriting(payload), lambda piece: "x")
    assert isinstance(after, Chat)
    assert after.body["usage"] == {"total_tokens": 10**9, "x": "-x"}


def test_keys_that_become_one_are_refused() -> None:
    with pytest.raises(PenstockError, match="two keys of a chunk become one"):
        walked(rewriting(Chat({"a": None, "b": None})), lambda piece: "x")


def test_what_spells_a_text_is_taken_out() -> None:
    assert walked(
        rewriting(chunk({"content": "a"}, logprobs={"content": [{"token": "a"}]})), lambda p: None
    ) == chunk({"content": "a"}, logprobs=None)


def test_a_chunk_that_says_something_else_has_nothing_else_of_its_like() -> None:
    like = Chat({**chunk({"content": "a"}).body, "metadata": {"bob": 1}, "usage": {"n": 1}})
    said = saying(like, {(1, "content"): "c"})
    assert isinstance(said, Chat)
    assert said.body.keys() == {"id", "model", "choices"}
