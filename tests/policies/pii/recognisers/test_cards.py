import pytest

from policies.pii.recognisers.cards import is_card
from tests.policies.pii.finding import found, values

# Numbers that the schemes publish for tests.
PUBLISHED = [
    "4111111111111111",
    "4012888888881881",
    "5555555555554444",
    "5105105105105100",
    "2223003122003222",
    "378282246310005",
    "371449635398431",
    "30569309025904",
    "38520000023237",
    "6011111111111117",
    "6011000990139424",
    "3530111333300000",
    "3566002020360505",
    "6200000000000005",
    "5019717010103742",
    "6759649826438453",
]


@pytest.mark.parametrize("number", PUBLISHED)
def test_published_numbers_are_found(number: str) -> None:
    assert found(f"paid with {number}.") == [("CREDIT_CARD", number)]


@pytest.mark.parametrize(
    "number",
    ["4012-8888-8888-1881", "4012 8888 8888 1881", "3714 496353 98431", "3714-496353-98431"],
)
def test_numbers_are_found_as_cards_show_them(number: str) -> None:
    assert found(f"({number})") == [("CREDIT_CARD", number)]


@pytest.mark.parametrize(
    "text",
    [
        "4012888888881882",  # the Luhn digit
        "4012 8888 8888 1882",
        "1234567812345670",  # no scheme's, though the digit is right
        "0.4111111111111111",
        "4111111111111111.25",
        "A4111111111111111",
        "4111111111111111e-5",
        "41111111111111110000001",
        "5555555555555555",
    ],
)
def test_other_numbers_are_not(text: str) -> None:
    assert found(text) == []


def test_unusual_lengths_and_groups_need_a_word() -> None:
    for number in ("4222222222222", "122000000000003", "4111 11111111 1111"):
        assert found(f"it is {number}") == []
        assert values(f"my credit card: {number}", "CREDIT_CARD") == [number]


def test_a_number_that_is_labelled_as_a_thing_is_none() -> None:
    assert found("order 4111111111111111") == []
    assert found("passport 912803456, order 912803456") == [("US_PASSPORT", "912803456")]
    assert found("order paid by card 4111111111111111") == [("CREDIT_CARD", "4111111111111111")]


def test_every_single_wrong_digit_is_noticed() -> None:
    number = "4111111111111111"
    for place in range(1, 16):
        for digit in "0123456789":
            changed = number[:place] + digit + number[place + 1 :]
            assert is_card(changed) == (changed == number)


@pytest.mark.parametrize(
    "number", ["4111\n1111 1111 1111", "4111 1111\r\n1111 1111", "4111-1111-1111\n1111"]
)
def test_a_line_break_may_divide_one(number: str) -> None:
    assert found(f"charge {number}, please") == [("CREDIT_CARD", number)]


@pytest.mark.parametrize(
    "text", ["4111\n1111\n1111\n1111", "1234 4111\n1111 1111 1111", "0 4111 1111\n1111 1111\n2"]
)
def test_tables_have_none(text: str) -> None:
    assert found(text) == []
