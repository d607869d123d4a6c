"""What an endpoint has kept is what its beats say, and what was just sent there."""

from math import inf, nan

import pytest

from protos import discovery_pb2 as pb
from protos.prefixes import MOST_BYTES, MOST_NAMES, NONE, Filter, prefixes_of, salt_of
from protos.values import Prompt
from routing.kept import MOST_ADAPTER_SECONDS, MOST_BYTE_SECONDS, UNTOLD_FOR, Kept

PROMPT = prefixes_of(Prompt({"prompt": "x" * 1000}), "t", "m")


def told(*names, **more):
    return pb.Load(prefixes=Filter.of(names, salt_of("key")).bits, **more)


@pytest.fixture
def kept():
    return Kept("key")


def test_a_beat_tells_how_much_of_a_prompt_is_there(kept):
    assert kept.reach(PROMPT) == 0
    kept.update(told(*PROMPT.names[:2]), 0.0)
    assert kept.reach(PROMPT) == PROMPT.ends[1]
    kept.update(told(), 1.0)
    assert kept.reach(PROMPT) == 0


def test_what_was_sent_counts_until_beats_must_have_told_it(kept):
    kept.sent(PROMPT)
    assert kept.reach(PROMPT) == PROMPT.ends[-1]
    kept.update(told(), UNTOLD_FOR + 0.1)
    assert kept.reach(PROMPT) == PROMPT.ends[-1]
    kept.update(told(), 2 * UNTOLD_FOR + 0.2)
    assert kept.reach(PROMPT) == 0


def test_what_is_kept_saves_as_many_seconds_as_the_backend_has_measured(kept):
    kept.update(told(*PROMPT.names[:1], prefix_byte_seconds=0.001), 0.0)
    assert kept.saves("m", PROMPT) == pytest.approx(0.001 * PROMPT.ends[0])
    assert kept.saves("m", NONE) == 0.0


def test_an_adapter_in_memory_saves_reading_it(kept):
    kept.update(told(adapters=["m:legal"], adapter_seconds=0.25), 0.0)
    assert kept.saves("m:legal", NONE) == 0.25
    assert kept.saves("m:medical", NONE) == 0.0
    assert kept.saves("m", NONE) == 0.0


def test_nothing_is_saved_while_nothing_was_measured(kept):
    kept.sent(PROMPT)
    assert kept.saves("m", PROMPT) == 0.0


@pytest.mark.parametrize(
    ("seconds", "believed"), [(-1.0, 0.0), (nan, 0.0), (inf, MOST_ADAPTER_SECONDS)]
)
def test_nonsense_draws_nothing_and_no_more_than_the_most(kept, seconds, believed):
    kept.update(
        told(*PROMPT.names, prefix_byte_seconds=seconds, adapters=["m"], adapter_seconds=seconds),
        0.0,
    )
    assert kept.saves("m", NONE) == believed
    assert kept.saves("n", PROMPT) <= MOST_BYTE_SECONDS * PROMPT.length


def test_a_filter_that_is_too_large_is_none(kept):
    kept.update(pb.Load(prefixes=b"\xff" * (MOST_BYTES + 1)), 0.0)
    assert kept.reach(PROMPT) == 0


def test_a_filter_that_says_yes_to_everything_is_none(kept):
    kept.update(pb.Load(prefixes=b"\xff" * MOST_BYTES), 0.0)
    assert kept.reach(PROMPT) == 0


def test_a_filter_with_the_most_names_is_believed(kept):
    others = prefixes_of(Prompt({"prompt": "y" * 60_000}), "t", "m").names
    names = [*PROMPT.names, *others, *range(1, MOST_NAMES)]
    kept.update(told(*names), 0.0)
    assert kept.reach(PROMPT) == PROMPT.ends[-1]
