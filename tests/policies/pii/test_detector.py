from itertools import pairwise

import pytest

from policies.pii.detector import Detector
from policies.pii.recogniser import Recogniser
from policies.pii.span import Span
from tests.policies.pii.finding import found, redactor


def test_positions_are_code_points_of_the_text_as_given() -> None:
    text = "😀 ﬁ al\u200bice@example.com ①"
    (span,) = redactor().detector.find(text)
    assert text[span.start : span.end] == "al\u200bice@example.com"
    assert span.entity == "EMAIL"


def test_findings_do_not_overlap_and_stand_in_order() -> None:
    text = "+1 415-555-2671, 4111 1111 1111 1111 4012888888881881 bob@example.com"
    spans = redactor().detector.find(text)
    assert [span.entity for span in spans] == ["PHONE", "CREDIT_CARD", "CREDIT_CARD", "EMAIL"]
    assert all(one.end <= other.start for one, other in pairwise(spans))


def test_a_surer_finding_wins_over_one_that_begins_earlier() -> None:
    weak = Recogniser("WEAK", b"[0-9]{2} [0-9]{4}", 0.6)
    sure = Recogniser("SURE", b"[0-9]{4} [0-9]{2}", 0.9)
    assert Detector((weak, sure)).find("12 3456 78") == [Span(3, 10, "SURE", 0.9)]


def test_of_two_equally_sure_ones_the_longer_wins() -> None:
    short = Recogniser("SHORT", b"[0-9]{4}", 0.6)
    long = Recogniser("LONG", b"[0-9]{4}-[0-9]{4}", 0.6)
    assert Detector((short, long)).find("1234-5678") == [Span(0, 9, "LONG", 0.6)]


def test_findings_may_begin_at_a_given_place_only() -> None:
    text = "alice@example.com bob@example.com"
    assert [span.start for span in redactor().detector.find(text, 1)] == [18]


def test_scores_below_the_least_are_not_reported() -> None:
    weak = Recogniser("WEAK", b"[0-9]{4}", 0.2, 0.8, context=b"pin")
    detector = Detector((weak,), lambda _: 0.5)
    assert detector.find("code 1234") == []
    (span,) = detector.find("pin 1234")
    assert 0.5 <= span.score <= 0.8
    assert Detector((weak,), lambda _: 0.1).find("code 1234")[0].score == 0.2


def test_a_pattern_that_is_not_re2_is_refused_by_its_entity() -> None:
    with pytest.raises(ValueError, match="the pattern of BAD"):
        Detector((Recogniser("BAD", rb"(?=x)", 1.0),))


def test_a_long_hostile_text_takes_no_long_time() -> None:
    for text in ("2 " * 5000 + "card", "a@" * 5000, "-----BEGIN " * 2000, "1:" * 5000, "+1" * 5000):
        found(text)
