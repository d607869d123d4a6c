import pytest

from policies.pii.recognisers.iban import LENGTHS, is_iban
from tests.policies.pii.finding import found

# The examples of SWIFT's registry.
EXAMPLES = [
    "AD1200012030200359100100",
    "AT611904300234573201",
    "BE68539007547034",
    "CH9300762011623852957",
    "DE89370400440532013000",
    "DK5000400440116243",
    "ES9121000418450200051332",
    "FR1420041010050500013M02606",
    "GB29NWBK60161331926819",
    "IT60X0542811101000000123456",
    "MT84MALT011000012345MTLCAST001S",
    "NL91ABNA0417164300",
    "NO9386011117947",
    "PL61109010140000071219812874",
    "SA0380000000608010167519",
    "SE4550000000058398257466",
]


@pytest.mark.parametrize("number", EXAMPLES)
def test_registered_examples_are_found_in_any_spelling(number: str) -> None:
    groups = " ".join(number[at : at + 4] for at in range(0, len(number), 4))
    for written in (number, groups, groups.replace(" ", "-"), number.lower()):
        assert found(f"transfer to {written}, please") == [("IBAN", written)]


def test_the_words_behind_are_not_taken_along() -> None:
    text = "GB29 NWBK 6016 1331 9268 19 BIC NWBKGB2L"
    assert found(text)[0] == ("IBAN", "GB29 NWBK 6016 1331 9268 19")


@pytest.mark.parametrize("number", EXAMPLES)
def test_wrong_check_digits_and_lengths_are_refused(number: str) -> None:
    assert not is_iban(number[:2] + f"{(int(number[2:4]) + 1) % 97:02d}" + number[4:])
    assert not is_iban(number[:-1])
    assert found(f"{number}7") == []


def test_countries_without_ibans_have_none() -> None:
    assert "US" not in LENGTHS
    assert found("US12 3456 7890 1234 5678") == []


def test_a_line_break_may_divide_one() -> None:
    for number in ("DE89 3704 0044\n0532 0130 00", "DE89\r\n3704 0044 0532 0130 00"):
        assert found(f"to {number} please") == [("IBAN", number)]
