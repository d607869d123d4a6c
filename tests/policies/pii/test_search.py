import random

import pytest

from policies.pii.detector import Detector
from policies.pii.patterns import Place, compiled
from policies.pii.recogniser import Recogniser
from policies.pii.recognisers import built_in
from policies.pii.search import reader
from tests.policies.pii.identifiers import IDENTIFIERS
from tests.policies.pii.sentences import person


def score(text: str, hint: str = "") -> float | None:
    weak = Recogniser("WEAK", b"[0-9]{4}", 0.2, 0.9, context=b"pin")
    spans = Detector((weak,)).find(text, hint=hint)
    return spans[0].score if spans else None


def test_the_nearer_a_word_the_surer_the_finding() -> None:
    near, far = score("pin 1234"), score("the pin that was given is 1234")
    assert near is not None
    assert far is not None
    assert 0.5 <= far < near <= 0.9


def test_words_count_within_64_characters_before() -> None:
    assert score("pin" + " " * 61 + "1234") is not None
    assert score("pin" + " " * 64 + "1234") is None


def test_words_behind_count_within_the_clause() -> None:
    assert score("1234 (pin)") is not None
    assert score("1234 opens that door, pin") is None


def test_parts_of_words_are_none() -> None:
    assert score("pinned 1234") is None
    assert score("user_pin=1234") is not None


def test_a_hint_is_a_word() -> None:
    assert score("1234", hint="card_pin") is not None
    assert score("1234", hint="spinner") is None


@pytest.mark.parametrize("recogniser", [each for each in built_in() if not each.linear], ids=repr)
def test_both_engines_read_the_same(recogniser: Recogniser) -> None:
    rng = random.Random(1)
    slow, fast = compiled(recogniser.whole), Place(recogniser.whole)
    read = reader(recogniser)
    for entity in IDENTIFIERS:
        data = person(entity, rng)[0].encode()
        place = fast.search(data)
        if place is not None:
            assert read.match(data, place[0]).span(1) == slow.search(data).span(1)
