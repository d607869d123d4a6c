"""The engine with a model that counts: requests come, go, break and are answered."""

from dataclasses import replace

import pytest

from backends.llm.blocks import BlockPool
from backends.llm.choice import Said
from backends.llm.engine import Ask, Engine
from backends.llm.sampling import Sampling
from protos.errors import Kind, PenstockError
from tests.backends.llm.counting_model import (
    BREAKS,
    END,
    GREEDY,
    NAN,
    SIZE,
    VOCABULARY,
    Counting,
    ask,
    engine,
)
from tests.backends.llm.tiny_models import finish


def text(told: list[Said | PenstockError], choice: int = 0) -> str:
    assert all(isinstance(each, Said) for each in told)
    said = [each for each in told if isinstance(each, Said) and each.choice == choice]
    return "".join(each.text for each in said)


def failure(told: list[Said | PenstockError]) -> PenstockError:
    (error,) = told
    assert isinstance(error, PenstockError)
    return error


def test_an_answer_comes_token_by_token_and_ends_by_its_length() -> None:
    one = engine()
    one.add("x", ask("ab", 3))
    told = finish(one)["x"]
    assert [each.text for each in told if isinstance(each, Said)] == ["c", "d", "e"]
    last = told[-1]
    assert isinstance(last, Said)
    assert (last.finish, last.final) == ("length", True)


def test_an_answer_ends_with_the_token_for_it_unless_that_is_ignored() -> None:
    one = engine()
    one.add("x", Ask([END - 3], 9, GREEDY))
    told = finish(one)["x"][-1]
    assert isinstance(told, Said)
    assert (told.text, told.finish) == ("", "stop")
    one.add("x", Ask([END - 3], 3, GREEDY, ignore_end=True))
    assert text(finish(one)["x"]) == "}~\x7f"


def test_a_stop_string_over_tokens_is_not_said() -> None:
    one = engine()
    one.add("x", ask("a", 9, stops=("de",)))
    told = finish(one)["x"]
    assert text(told) == "bc"
    assert told[-1].finish == "stop"  # type: ignore[union-attr]
    assert one.scheduler.pool.free == 16


def test_choices_share_the_prompt() -> None:
    one = engine()
    one.add("x", ask("abcdefghi", 2, choices=3))
    told = finish(one)["x"]
    assert [text(told, choice) for choice in range(3)] == ["jk"] * 3
    assert [each.final for each in told if isinstance(each, Said)].count(True) == 1
    assert one.counts.reused_tokens == 2 * 8


def test_who_leaves_frees_the_blocks_at_once() -> None:
    one = engine()
    one.add("x", ask("abcdefgh", 9, choices=2))
    one.add("y", ask("a", 5))
    one.step(0.0)
    one.step(0.0)
    one.cancel("x")
    one.cancel("x")
    assert one.scheduler.pool.blocks_for(3) == 16 - one.scheduler.pool.free
    assert set(finish(one)) == {"y"}
    assert one.scheduler.pool.free == 16


def test_what_is_no_number_ends_its_own_request() -> None:
    one = engine()
    one.add("bad", Ask([NAN, 3], 4, GREEDY))
    one.add("good", ask())
    told = finish(one)
    assert failure(told["bad"]).kind is Kind.MODEL_FAILED
    assert text(told["good"]) == "bcdef"


def test_what_breaks_a_step_ends_its_own_request(caplog: pytest.LogCaptureFixture) -> None:
    one = engine()
    one.add("first", ask())
    one.add("bad", Ask([BREAKS], 4, GREEDY))
    one.add("last", ask("k"))
    told = finish(one)
    assert failure(told["bad"]).kind is Kind.MODEL_FAILED
    assert (text(told["first"]), text(told["last"])) == ("bcdef", "lmnop")
    assert "secret" not in caplog.text
    assert one.scheduler.pool.free == 16


def test_what_cannot_be_said_ends_its_own_request(caplog: pytest.LogCaptureFixture) -> None:
    def decode(tokens: list[int]) -> str:
        if ord("c") in tokens:
            raise RuntimeError("a tenant's secret")
        return VOCABULARY.decode(tokens)

    one = Engine(Counting(), replace(VOCABULARY, decode=decode), BlockPool(16, 4), longest=60)
    one.add("bad", ask("a"))
    one.add("good", ask("k"))
    told = finish(one)
    assert isinstance(told["bad"][-1], PenstockError)
    assert text(told["good"]) == "lmnop"
    assert "secret" not in caplog.text
    assert one.scheduler.pool.free == 16


@pytest.mark.parametrize("tokens", [[], [SIZE], [-1], [1] * 60])
def test_a_prompt_that_can_never_be_answered_is_refused(tokens: list[int]) -> None:
    one = engine()
    with pytest.raises(PenstockError) as caught:
        one.add("x", Ask(tokens, 1, GREEDY))
    assert caught.value.kind is Kind.INVALID
    assert not one.busy


def test_without_a_bound_an_answer_may_fill_what_there_is() -> None:
    assert engine().check(10, None) == 50
    with pytest.raises(PenstockError, match="10 tokens, and 51 more"):
        engine().check(10, 51)


def test_the_cache_bounds_an_answer_as_the_model_does() -> None:
    small = Engine(Counting(), VOCABULARY, BlockPool(4, 4), longest=60)
    assert small.longest == 16


def test_who_comes_too_late_is_told_so() -> None:
    one = engine(most=1)
    one.add("runs", ask("a", 3))
    one.add("late", ask("a", 3, deadline=1.0))
    told = dict(one.step(0.0))
    assert set(told) == {"runs"}
    error = dict(one.step(2.0))["late"]
    assert isinstance(error, PenstockError)
    assert error.kind is Kind.DEADLINE
    assert set(finish(one)) == {"runs"}


def test_who_comes_interrupts_a_long_prompt_and_nothing_is_lost() -> None:
    model = Counting()
    one = Engine(model, VOCABULARY, BlockPool(16, 4), longest=60, budget=8)
    one.add("long", ask("a" * 39 + "b", 2))
    assert one.step(0.0, lambda: True) == []
    assert model.steps == []
    one.add("short", ask("k", 1))
    assert dict(one.step(0.0, lambda: True)).keys() == {"short"}
    for _ in range(3):
        one.step(0.0, lambda: True)  # after an interruption none for a while
    assert len(model.steps) == 4
    assert text(finish(one)["long"]) == "cd"


def test_right_guesses_save_steps() -> None:
    plain, guessing = engine(), engine(speculate=4)
    for each in (plain, guessing):
        each.add("x", ask("abcdefghijabcdefgh", 12))
        assert text(finish(each)["x"]) == "ijklmnopqrst"
    assert guessing.counts.accepted_tokens > 0
    assert guessing.counts.drafted_tokens > guessing.counts.accepted_tokens
    assert guessing.scheduler.pool.free == 16


def test_guesses_change_nothing_of_what_is_drawn() -> None:
    drawn = Sampling(temperature=30.0, seed=5)
    prompt = [ord(letter) for letter in "abababab"]
    answers = []
    for speculate in (0, 3):
        one = engine(speculate=speculate)
        one.add("x", Ask(prompt, 30, drawn, ignore_end=True))
        answers.append(text(finish(one)["x"]))
    assert answers[0] == answers[1]


def test_beginnings_of_prompts_are_known_by_the_blocks_that_hold_them() -> None:
    one = engine()
    one.add("x", ask("abcdefghij", 2, beginnings=((3, 30), (4, 40), (9, 90))))
    knows = one.scheduler.pool.knows
    kept = one.kept.newest()
    assert [name for name, _ in kept] == [40, 90]  # a block holds four tokens
    assert not any(knows(key) for _, key in kept)
    finish(one)
    assert all(knows(key) for _, key in kept)
    one.add("y", ask("z" * 50, 2))
    finish(one)
    one.add("y", ask("y" * 50, 2))
    finish(one)
    assert not any(knows(key) for _, key in kept)


def test_every_choices_prompt_and_tokens_are_counted() -> None:
    one = engine()
    one.add("x", ask("abcde", 3, choices=2))
    one.add("y", ask("abc", 2, adapter="m:a@1"))
    finish(one)
    assert one.counts.prompt_tokens == 2 * 5 + 3
    assert one.counts.by_adapter == {"": 6, "m:a@1": 2}
