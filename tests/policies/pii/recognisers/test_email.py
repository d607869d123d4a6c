import pytest

from policies.pii.recognisers.email import canonical
from tests.policies.pii.finding import found


@pytest.mark.parametrize(
    "address",
    [
        "info@presidium.org",
        "first.last+tag@sub.example.co.uk",
        "o'brien@example.ie",
        "x_y-z%w@ex-ample.museum",
        "1@2.com",
        "ALICE@EXAMPLE.COM",
        "müller@bücher.de",
        "иван@почта.рф",
    ],
)
def test_addresses_are_found_whatever_stands_around_them(address: str) -> None:
    for text in ("{}", "<{}>", "'{}'", "mailto:{}?subject=hi", "({}), or", "to {}.", '"a": "{}"'):
        assert found(text.format(address)) == [("EMAIL", address)]


@pytest.mark.parametrize(
    "text",
    [
        "alice&#64;example.com",
        "alice&commat;example&period;com",
        "alice%40example.com",
        "alice\\u0040example.com",
        "al\u200bice@exam\u200bple.com",
        "a\u00adlice@example.com",
        "ａｌｉｃｅ＠ｅｘａｍｐｌｅ．ｃｏｍ",
        "alice (at) example (dot) com",
        "alice[at]example[dot]com",
        "&#97;&#108;&#105;&#99;&#101;@example.com",
    ],
)
def test_disguises_hide_nothing(text: str) -> None:
    assert found(f"write to {text} today") == [("EMAIL", text)]


@pytest.mark.parametrize(
    "text",
    [
        "user@localhost",
        "info@example.",
        "@example.com",
        "logo@2x.png",
        "model@fp16.onnx",
        "git@github.com:org/repository.git",
        "a@b..com",
        "image@sha256:abc",
        "@app.route",
        "x@-example.com",
    ],
)
def test_what_no_mail_reaches_is_not_found(text: str) -> None:
    assert found(text) == []


def test_it_ends_before_text_without_spaces() -> None:
    assert found("我的邮箱是alice@example.com谢谢") == [("EMAIL", "alice@example.com")]


def test_an_escaped_line_break_is_no_part_of_it() -> None:
    assert found(r"hello\nbob@example.com") == [("EMAIL", "bob@example.com")]


def test_all_spellings_have_one_canonical_form() -> None:
    assert canonical("Alice (at) Example [dot] com") == canonical("alice@example.com")
