"""Markup: nothing foreign becomes markup, and nothing in it is hidden."""

from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.reports.markup import LONGEST, Markup, element, foreign, joined, visible


def test_text_is_escaped_and_markup_is_not_escaped_again():
    inner = element("b", "<&>")
    assert element("p", "a < b", inner) == "<p>a &lt; b<b>&lt;&amp;&gt;</b></p>"


def test_attributes_are_escaped_and_named_as_html_names_them():
    made = element("i", class_="x", aria_label='"><script>', hidden=True, id=None, open=False)
    assert made == '<i class="x" aria-label="&quot;&gt;&lt;script&gt;" hidden></i>'


def test_elements_without_content_are_not_closed():
    assert element("meta", charset="utf-8") == '<meta charset="utf-8">'


def test_nothing_is_left_out_of_joined_children_but_none():
    assert joined("a", None, 0, Markup("<br>")) == "a0<br>"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a‮b", "a⟨U+202E⟩b"),
        ("a\nb", "a⟨U+000A⟩b"),
        ("\x1b[31m", "⟨U+001B⟩[31m"),
        ("\ud800", "⟨U+D800⟩"),
        ("zero​width", "zero⟨U+200B⟩width"),
        ("plain, ünïcode 数", "plain, ünïcode 数"),
    ],
)
def test_what_cannot_be_seen_is_shown_by_its_code(text: str, shown: str):
    assert visible(text) == shown


def test_a_long_text_is_cut_and_says_so():
    assert visible("x" * 500) == "x" * LONGEST + "… (500 characters)"


def test_a_missing_text_is_said_to_be_missing():
    assert "none" in foreign("")


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=80))
def test_any_text_survives_as_text(text: str):
    made = foreign(text)
    inside = made.removeprefix("<bdi>").removesuffix("</bdi>")
    if text:
        assert "<" not in inside
        assert unescape(inside) == visible(text)
    made.encode("utf-8")
