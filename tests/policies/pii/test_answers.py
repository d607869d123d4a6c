"""Texts that are nothing but an identifier, as answers to questions are."""

import random

import pytest

from policies.pii.streams import StreamRedactor
from tests.policies.pii.finding import found, redactor

ANSWERS = {
    "121000358": "US_ROUTING_NUMBER",
    "4010232137": "UK_NHS",
    "876543210": "AU_TFN",
    "2123456701": "AU_MEDICARE",
    "312345678909": "IN_AADHAAR",
    "01333550323": "IT_VAT_CODE",
    "1111111G": "ES_NIF",
    "C01X00T41": "DE_PASSPORT",
    "122000000000003": "CREDIT_CARD",
}


@pytest.mark.parametrize("value", ANSWERS)
def test_check_digits_are_enough_for_them(value: str) -> None:
    for text in (value, f" {value}. ", f"{value}\r\n", f"{value}\nThank you"):
        assert found(text) == [(ANSWERS[value], value)]


@pytest.mark.parametrize("value", ANSWERS)
def test_they_are_not_in_any_other_place(value: str) -> None:
    for text in (f"see {value}", f"{value} it says", f"first\n{value}", f"{value}, {value}"):
        assert found(text) == []


@pytest.mark.parametrize("value", ANSWERS)
def test_what_has_a_name_is_no_answer(value: str) -> None:
    assert found(value, hint="item") == []


def test_books_and_wrong_digits_are_none() -> None:
    for text in ("0306406152", "0471958697", "121000357", "312345678901", "000000000"):
        assert found(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "121000358",
        "121000358\nThank you",
        "121000358 . And more",
        " 121000358" + " " * 300 + "more",
        "\n121000358\r\n",
        "121000358\n12 of them",
        "pay 4111 1111\r\n1111 1111 now",
        "4111 1111 1111\n1111\n2222",
        "to DE89 3704\n0044 0532 0130 00, please",
        "DE89 3704 0044 0532 0130 00\n12\n13",
        "121000358 is mine",
        "AAA123456 es mi número de pasaporte, creo",
        "It was 536904399, her own social security number, and nothing else ever was.",
        "It was 536904399, and then, much later in the story, her social security number.",
        "12345678901 ﷺ ﷺ is her checking account, as far as anybody knows",
        "12345678901 \u200b\u200b is&#32;her checking account, as far as anybody knows",
    ],
)
def test_streams_see_the_same_however_they_are_cut(text: str) -> None:
    made = redactor()
    whole = made.redact(text, made.vault("acme")).text
    rng = random.Random(text)
    for _ in range(60):
        cuts = sorted(rng.sample(range(len(text) + 1), rng.randrange(1, min(len(text), 12))))
        stream = StreamRedactor(made, made.vault("acme"))
        pieces = [text[at:to] for at, to in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert "".join(map(stream.push, pieces)) + stream.flush() == whole
