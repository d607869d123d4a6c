"""What fuzzers found interesting, and what people thought of, stays handled.

docs/fuzzing.md says what each target promises. Work is counted in calls of functions, which no
machine's speed changes, so that an input that takes too much of it is found here, too.
"""

import sys
from collections.abc import Callable
from types import FrameType

import pytest

from tests.fuzz.targets_there import CORPUS, TARGETS, corpus, load

# Calls that any input may take, and more of them for each of its bytes.
CALLS = 20_000
CALLS_A_BYTE = 400
WHOLE_CORPUS = 300 * 1024  # bytes


def calls_of(work: Callable[[], None]) -> int:
    """How many functions are called, Python's and C's."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_breaks_nothing_and_takes_bounded_work(target: str) -> None:
    one = load(target)
    inputs = corpus(target)
    assert len(inputs) >= 10
    for path in inputs:
        data = path.read_bytes()
        one(data)  # first without being watched: what is remembered is made now
        calls = calls_of(lambda data=data: one(data))
        assert calls < CALLS + CALLS_A_BYTE * len(data), path.name


@pytest.mark.parametrize("target", TARGETS)
def test_inputs_cut_short_break_nothing(target: str) -> None:
    one = load(target)
    for path in corpus(target)[:10]:
        data = path.read_bytes()
        for end in range(0, len(data), max(1, len(data) // 8)):
            one(data[:end])


def test_the_corpus_is_small() -> None:
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= WHOLE_CORPUS
    assert {path.parent.name for path in files} == set(TARGETS)
