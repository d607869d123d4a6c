import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.pii.cuts import SPACED, has_cut, heard, settled
from policies.pii.national import national
from policies.pii.recogniser import Recogniser
from policies.pii.recognisers import built_in

ALL = (*built_in(), *national(("US", "GB", "DE")))


def test_words_of_prose_and_quotes_are_cut_apart() -> None:
    assert settled(b"The quick brown fo", 0, 0) == len("The quick brown ")
    assert settled(b'{"a": "alice', 0, 0) == len('{"a": "')
    assert settled(b"4111 1111", 0, 0) == 0


def test_text_without_cuts_is_settled_in_time() -> None:
    table = b"12 " * 200
    assert len(table) - settled(table, 0, 0) <= SPACED + 3


def test_a_line_break_between_digits_is_no_cut() -> None:
    assert not has_cut(b"4111 1111\r\n1111 1111", 0, 20)
    assert settled(b"see\n4111 1111\n", 0, 0) == len("see\n")
    for text in (b"a\n4111", b"4111\nb", b"4111\n\n1111"):
        assert has_cut(text, 0, len(text))
    column = b"12\n" * 200
    assert len(column) - settled(column, 0, 0) <= SPACED + 3


def test_a_private_key_is_not_cut_before_it_ends() -> None:
    head = b"see this\n"
    begun = head + b"-----BEGIN PRIVATE KEY-----\nabc\ndef\n"
    assert settled(begun, 0, 0) == len(head)
    ended = begun + b"-----END PRIVATE KEY-----\n"
    assert settled(ended, 0, 0) == len(ended)


def test_what_looks_like_the_beginning_of_another_key_ends_none() -> None:
    begun = b"-----BEGIN PRIVATE KEY-----\nProc-Type: 4, then "
    assert settled(begun + b"-----BEGIN PRIVATE KEY-----\nabc\ndef\n", 0, 0) == 0
    ended = begun + b"-----END PRIVATE KEY-----\nand "
    assert settled(ended + begun, 0, 0) == len(ended) - len("and ")


def test_patterns_that_heed_no_cuts_are_waited_for() -> None:
    assert settled(b"The quick brown fox jumps", 0, 20) == 5


def test_words_behind_are_heard_up_to_the_next_cut() -> None:
    assert heard(b"123", b" (ssn), and more words") == b" (ssn), and "
    assert heard(b"a@b.com", b" is mine") == b" "


def test_words_behind_a_long_number_are_heard_across_cuts() -> None:
    assert heard(b"AAA123456", b" is her passport number") == b" is her passport number"
    assert settled(b"it was here: AAA123456 is her passp", 0, 0) == len("it was ")


@pytest.mark.parametrize("recogniser", [each for each in ALL if not each.crosses], ids=repr)
def test_no_pattern_has_a_cut_in_what_it_matches(recogniser: Recogniser) -> None:
    """Findings are held to cuts anyway; one with a cut in it would be lost."""
    lost: list[bytes] = []

    @given(st.from_regex(re.compile(recogniser.pattern), fullmatch=True))
    @settings(deadline=None, max_examples=15, database=None, derandomize=True)
    def sample(matched: bytes) -> None:
        if len(matched) <= recogniser.longest and has_cut(matched, 0, len(matched)):
            lost.append(matched)
        spaced = b" " in matched and len(matched) <= recogniser.longest
        assert not spaced or len(matched) <= 96

    sample()
    assert lost == []
