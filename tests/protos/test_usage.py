"""What requests use: rows, tokens and the device's time."""

from math import inf

import pytest

from protos.principal import Principal
from protos.timeline import Timeline, Used
from protos.usage import completion_tokens, measure, prompt_tokens, rows
from protos.values import (
    Chat,
    Context,
    Embedding,
    InferRequest,
    Part,
    Payload,
    Prompt,
    Tensor,
    Tensors,
)

TEXT = Tensor("text", "BYTES", (1,), b"\x00" * 40)


def request(payload: Payload, *, streaming: bool = False) -> InferRequest:
    who = Principal("ann", "acme", frozenset())
    context = Context(who, inf, Timeline(0.0), streaming=streaming)
    return InferRequest("1", "m", "", payload, {}, context)


def tensors(*shapes: tuple[int, ...]) -> Tensors:
    return Tensors(tuple(Tensor(f"x{n}", "FP32", shape, b"") for n, shape in enumerate(shapes)))


def messages(*contents: object, **more: object) -> Chat:
    return Chat({"messages": [{"role": "user", "content": each} for each in contents], **more})


@pytest.mark.parametrize(
    ("payload", "counted"),
    [
        (tensors((1,), (40, 4)), 40),
        (tensors((40, 4), (1,)), 40),
        (tensors((), (7,)), 7),
        (tensors((0, 4)), 1),
        (tensors(()), 1),
        (tensors(), 1),
        (messages("a", "b"), 1),
        (Prompt({"prompt": "a"}), 1),
        (Prompt({"prompt": ["a", "b", "c"]}), 3),
        (Prompt({"prompt": [1, 2, 3]}), 1),
        (Embedding({"input": [[1, 2], [3]]}), 2),
        (Embedding({"input": []}), 1),
    ],
)
def test_no_order_of_tensors_makes_a_request_smaller(payload: Payload, counted: int) -> None:
    assert rows(payload) == counted


@pytest.mark.parametrize(
    ("payload", "tokens"),
    [
        (messages("x" * 400), 101),
        (messages("x" * 400, "y" * 400), 202),
        (messages("é" * 200), 101),
        (messages([{"type": "text", "text": "x" * 400}]), 102),
        (messages([{"type": "image_url", "image_url": {"url": "x" * 9999}}]), 3),
        (messages("", tools=[{"function": {"description": "x" * 400}}]), 101),
        (Prompt({"prompt": "x" * 400}), 100),
        (Prompt({"prompt": ["x" * 40, "x" * 40]}), 20),
        (Prompt({"prompt": [5, 6, 7]}), 3),
        (Embedding({"input": [[5, 6], [7]]}), 3),
        (Tensors((TEXT,)), 10),
        (tensors((64,)), 0),
        (messages(None), 1),
        (Chat({}), 0),
    ],
)
def test_a_prompt_has_a_token_for_four_bytes_of_its_text(payload: Payload, tokens: int) -> None:
    assert prompt_tokens(payload) == tokens


@pytest.mark.parametrize(
    ("payload", "parameters", "tokens"),
    [
        (Chat({"max_tokens": 30}), {}, 30),
        (Chat({"max_tokens": 30, "max_completion_tokens": 20}), {}, 30),
        (Chat({"max_tokens": 4096.0, "max_completion_tokens": 1}), {}, 4096),
        (Chat({"max_tokens": 10**400}), {}, 1 << 53),
        (Chat({"max_tokens": 30, "n": 4}), {}, 120),
        (Chat({"max_tokens": True, "n": -1}), {}, 500),
        (Chat({}), {"max_tokens": 9}, 500),
        (Prompt({"max_tokens": 16, "prompt": ["a", "b"], "best_of": 3, "n": 2}), {}, 96),
        (Embedding({"input": "a", "max_tokens": 9}), {}, 0),
        (tensors((1,)), {"max_tokens": 40}, 40),
        (tensors((1,)), {"max_new_tokens": 40}, 40),
        (tensors((1,)), {}, 500),
    ],
)
def test_an_answer_has_at_most_the_tokens_that_are_asked_for(
    payload: Payload, parameters: dict[str, int], tokens: int
) -> None:
    assert completion_tokens(payload, parameters, 500) == tokens


def measured(given: InferRequest, *parts: Part) -> Used:
    used = Used()
    for part in parts:
        measure(used, given, part)
    return used


def part(payload: Payload, *, compute: float = 0.0, batch: int = 0, **parameters: int) -> Part:
    return Part(payload, "1", parameters, False, 0, int(compute * 1e6), batch)


def test_the_backends_word_counts_however_many_parts_there_were() -> None:
    chunk = part(Chat({"choices": [{}]}))
    last = part(Chat({"usage": {"prompt_tokens": 8, "completion_tokens": 5, "total_tokens": 13}}))
    used = measured(request(messages("x" * 400)), chunk, chunk, last, chunk)
    assert (used.prompt_tokens, used.completion_tokens, used.tokens_told) == (8, 5, True)


def usage(prompt: int, completion: int) -> Part:
    told = {"prompt_tokens": prompt, "completion_tokens": completion}
    return part(Chat({"choices": [{}], "usage": told}))


def test_of_what_a_stream_tells_as_it_goes_the_last_word_counts_never_less_than_before() -> None:
    given = request(messages("x" * 400), streaming=True)
    used = measured(given, usage(9, 0), usage(9, 1), usage(9, 20))
    assert (used.prompt_tokens, used.completion_tokens) == (9, 20)
    used = measured(given, usage(9, 20), usage(3, 4))
    assert (used.prompt_tokens, used.completion_tokens) == (9, 20)


def test_a_stream_that_tells_its_prompt_alone_has_a_token_in_each_other_part() -> None:
    chunk = part(Chat({"choices": [{}]}))
    used = measured(request(messages("x" * 400), streaming=True), usage(9, 0), chunk, chunk)
    assert (used.prompt_tokens, used.completion_tokens, used.tokens_told) == (9, 2, False)


def test_an_embedding_has_a_prompt_and_no_more() -> None:
    told = Embedding({"usage": {"prompt_tokens": 5, "total_tokens": 5}})
    used = measured(request(Embedding({"input": "abc"})), part(told))
    assert (used.prompt_tokens, used.completion_tokens, used.tokens_told) == (5, 0, True)


def test_a_stream_that_tells_nothing_has_a_token_in_each_part() -> None:
    chunk = part(Chat({"choices": [{}], "usage": None}))
    used = measured(request(messages("x" * 400)), chunk, chunk, chunk)
    assert (used.prompt_tokens, used.completion_tokens, used.tokens_told) == (101, 3, False)


def test_replies_of_tensors_may_tell_their_tokens_in_parameters() -> None:
    told = part(Tensors((TEXT,)), prompt_tokens=4, completion_tokens=6)
    used = measured(request(Tensors((TEXT,))), told)
    assert (used.prompt_tokens, used.completion_tokens, used.tokens_told) == (4, 6, True)


def test_tensors_that_tell_nothing_have_no_tokens_unless_they_are_streamed() -> None:
    given, reply = Tensors((TEXT,)), part(Tensors((TEXT,)))
    assert measured(request(given), reply).completion_tokens == 0
    streamed = measured(request(given, streaming=True), reply, reply, part(Tensors(())))
    assert (streamed.prompt_tokens, streamed.completion_tokens) == (10, 2)


@pytest.mark.parametrize("told", [{}, {"usage": {}}, {"usage": {"prompt_tokens": "8"}}])
def test_what_isnt_a_count_is_none(told: dict[str, object]) -> None:
    assert not measured(request(messages("")), part(Chat(told))).tokens_told


def test_the_devices_time_is_the_share_of_the_batch_up_to_the_last_part() -> None:
    given = request(tensors((2, 4)))
    reply = tensors((2, 1))
    assert measured(given, part(reply, compute=0.8, batch=8)).device_seconds == pytest.approx(0.2)
    assert measured(given, part(reply, compute=0.8, batch=1)).device_seconds == pytest.approx(0.8)
    parts = [part(reply, compute=0.1 * n, batch=2) for n in (1, 2, 3)]
    assert measured(given, *parts).device_seconds == pytest.approx(0.3)
    assert measured(given, part(reply)).device_seconds == 0.0


def test_a_stream_pays_its_share_of_each_part_of_its_time() -> None:
    given = request(messages("a"), streaming=True)
    chunk = Chat({"choices": [{}]})
    parts = [
        part(chunk, compute=1.0, batch=1),
        part(chunk, compute=5.0, batch=8),
        part(chunk, compute=6.0, batch=2),
    ]
    assert measured(given, *parts).device_seconds == pytest.approx(1.0 + 4.0 / 8 + 1.0 / 2)
