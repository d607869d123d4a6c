import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.pii.fold import LONGEST_RUN, finished, fold, unmask

PIECES = st.sampled_from(
    [
        "a",
        "Z",
        "9",
        "é",
        "e\u0301",
        "ﬁ",
        "①",
        "\u200b",
        "\u00ad",
        "＠",
        "٣",
        "—",
        "\u00a0",
        "汉",
        "я",
        "&#64;",
        "&amp;",
        "&nosuch;",
        "%40",
        "%E9",
        "\\u0040",
        "\\x41",
        "😀",
        "\ud800",
        "\x80",
        "\x83",
        "\x85",
        "\x00",
        "\x1f",
        "\u064b",
        "ि",
        "\U000e0100",
        "&#64",
        "&#x00040;",
        "&shy",
        "\\u{40}",
        "\\U00000040",
    ]
)
TEXTS = st.lists(PIECES, max_size=30).map("".join)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("plain", b"plain"),
        ("Müller, François", b"Muller, Francois"),
        ("１２３－４５", b"123-45"),
        ("٤٥٦ ४५६", b"456 456"),
        ("2012\N{NON-BREAKING HYPHEN}13", b"2012-13"),
        ("a\u00a0b\u2009c", b"a b c"),
        ("“a”", b'"a"'),
        ("ﬁne", b"fine"),
        ("x\u200by\u2060z", b"xyz"),
        ("cafe\u0301", b"cafe"),
        ("почта 汉字", b"\x82" * 5 + b" " + b"\x83" * 2),
        ("4\u064b1\u20dd1", b"411"),
        ("م\u064b\u0651", b"\x83" * 3),
        ("a\x81b\x82c\x9fd", b"abcd"),
    ],
)
def test_unicode_is_undone(text: str, data: bytes) -> None:
    assert fold(text).data == data


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a&#64;b", b"a@b"),
        ("a&#x40;b", b"a@b"),
        ("a&commat;b", b"a@b"),
        ("a%40b", b"a@b"),
        ("a\\u0040b\\x40c", b"a@b@c"),
        ("a&#8203;b", b"ab"),
        ("a&nosuch;b", b"a&nosuch;b"),
        ("100%zz", b"100%zz"),
        ("a&#0000064;b&#x000040;c", b"a@b@c"),
        ("a&#64b&#64", b"a@b@"),
        ("a&shyb&nbspc", b"ab c"),
        ("a\\u{40}b\\U00000040c", b"a@b@c"),
        ("\\u{ffffff}", b"\\u{ffffff}"),
        ("a&#1;b&#x64B;c", b"abc"),
        ("a\x00b\x1bc\x7fd", b"abcd"),
        ("a\tb\x1fc\nd", b"a\tb c\nd"),
        ("a%0Ab", b"a%0Ab"),
    ],
)
def test_escapes_are_read(text: str, data: bytes) -> None:
    assert unmask(text).data == data


# Of each range of Default_Ignorable_Code_Point, and what else is not seen.
UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b\u180e\u180f\u200b\u200e\u202a\u2060\u2065"
    "\u206f\u2800\u3164\ufe00\ufe0f\ufeff\uffa0\ufff0\U0001bca0\U0001d173\U000e0000\U000e0001"
    "\U000e0020\U000e0100\U000e0fff\x00\x01\x08\x0e\x1b\x7f\x80\x81\x82\x83\x84\x9f\u0483\u20dd"
)


@pytest.mark.parametrize("letter", UNSEEN, ids=lambda letter: f"{ord(letter):04x}")
def test_what_is_not_seen_hides_nothing(letter: str) -> None:
    assert unmask(f"4111{letter}1111 bob{letter}@example.com").data == b"41111111 bob@example.com"


@pytest.mark.parametrize(
    ("text", "tail"),
    [
        ("bob&#64", "&#64"),
        ("bob\\u{4", "\\u{4"),
        ("bob%4", "%4"),
        ("bob＆#6", "＆#6"),
        ("bob&#64;", ""),
        ("100% of it", ""),
        ("R&D, then", ""),
    ],
)
def test_an_escape_at_the_end_is_not_finished(text: str, tail: str) -> None:
    assert text[finished(text) :] == tail


def test_many_invisible_characters_end_a_word() -> None:
    assert fold("a" + "\u200b" * LONGEST_RUN + "b").data == b"ab"
    assert fold("a" + "\u200b" * (LONGEST_RUN + 1) + "b").data == b"a\x83b"
    assert b"\x83" in unmask("a" + "&#8203;" * (LONGEST_RUN + 1) + "b").data


@given(TEXTS)
@settings(deadline=None, max_examples=200)
def test_every_folded_byte_knows_its_place_in_the_text(text: str) -> None:
    folded = unmask(text)
    last = 0
    for at in range(len(folded.data)):
        start, end = folded.source(at, at + 1)
        assert 0 <= start < end <= len(text)
        assert start >= last or text[last:end]  # of an expansion, several bytes have one place
        last = start
        if folded.data[at : at + 1].isalpha() and end == start + 1:
            base = unicodedata.normalize("NFKD", text[start])
            assert chr(folded.data[at]) in base
        assert folded.position(start) <= at


@given(TEXTS, TEXTS)
@settings(deadline=None, max_examples=100)
def test_a_break_separates_folds(one: str, other: str) -> None:
    assert unmask(f"{one}\n{other}").data == unmask(one).data + b"\n" + unmask(other).data


@given(st.text(max_size=60))
@settings(deadline=None, max_examples=200)
def test_any_text_can_be_folded(text: str) -> None:
    assert len(fold(text).data) <= 18 * len(text)
