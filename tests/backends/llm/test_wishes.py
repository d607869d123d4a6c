"""What is asked for is done, or refused by its name."""

from typing import Any

import pytest

from backends.llm.wishes import wishes_of
from protos.errors import Kind, PenstockError
from protos.values import Chat, Prompt

MESSAGES = [{"role": "user", "content": "hello"}]


def chat(**fields: Any) -> Chat:
    return Chat({"model": "m", "messages": MESSAGES, **fields})


def test_defaults_are_openais() -> None:
    wishes = wishes_of(chat())
    assert (wishes.sampling.temperature, wishes.sampling.top_p) == (1.0, 1.0)
    assert (wishes.choices, wishes.most, wishes.stops) == (1, None, ())
    assert wishes_of(Prompt({"model": "m", "prompt": "x"})).most == 16


def test_everything_that_can_be_asked_for() -> None:
    wishes = wishes_of(
        chat(
            temperature=0.5,
            top_p=0.9,
            top_k=7,
            min_p=0.1,
            repetition_penalty=1.1,
            presence_penalty=-1,
            frequency_penalty=1,
            logit_bias={"3": -100},
            seed=4,
            logprobs=True,
            top_logprobs=2,
            n=3,
            stop=["a", "b"],
            max_completion_tokens=9,
            ignore_eos=True,
            user="u",
            stream=True,
            response_format={"type": "text"},
            tools=[],
        )
    )
    sampling = wishes.sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (0.5, 0.9, 7)
    assert (sampling.min_p, sampling.repetition) == (0.1, 1.1)
    assert (sampling.presence, sampling.frequency) == (-1.0, 1.0)
    assert (dict(sampling.bias), sampling.seed, sampling.logprobs) == ({3: -100.0}, 4, 2)
    assert (wishes.choices, wishes.stops, wishes.most) == (3, ("a", "b"), 9)
    assert wishes.ignore_end


def test_a_temperature_of_almost_none_is_none() -> None:
    assert wishes_of(chat(temperature=1e-9)).sampling.plain


def test_all_tokens_is_vllms_minus_one() -> None:
    assert wishes_of(chat(top_k=-1)).sampling.top_k == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", 2.1),
        ("temperature", float("nan")),
        ("temperature", True),
        ("top_p", "1"),
        ("top_k", 1.5),
        ("top_k", -2),
        ("min_p", -0.1),
        ("repetition_penalty", 0),
        ("presence_penalty", 3),
        ("logit_bias", {"x": 1}),
        ("logit_bias", {"1": 101}),
        ("logit_bias", [1]),
        ("seed", 1 << 64),
        ("seed", 1.0),
        ("top_logprobs", 2),
        ("logprobs", 1),
        ("stop", ""),
        ("stop", [""]),
        ("stop", ["x"] * 17),
        ("stop", 1),
        ("ignore_eos", "yes"),
        ("tools", [{"type": "function"}]),
        ("response_format", {"type": "json_object"}),
        ("no_such_field", 1),
        ("echo", True),
    ],
)
def test_what_is_wrong_or_cant_be_done_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(PenstockError) as caught:
        wishes_of(chat(**{field: value}))
    assert caught.value.kind is Kind.INVALID
    assert caught.value.param == field
