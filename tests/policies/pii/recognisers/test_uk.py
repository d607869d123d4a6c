import pytest

from policies.pii.recognisers.uk import is_nhs
from tests.policies.pii.finding import found, values


@pytest.mark.parametrize("number", ["943 476 5919", "401-023-2137", "221 395 1837"])
def test_nhs_numbers_are_found_in_groups(number: str) -> None:
    assert values(f"it is {number}", "UK_NHS") == [number]


def test_ten_digits_need_a_word() -> None:
    assert found("0032698674") == []
    assert values("NHS number 0032698674", "UK_NHS") == ["0032698674"]


def test_one_wrong_digit_is_noticed() -> None:
    assert is_nhs("9434765919")
    assert sum(is_nhs(f"943476591{digit}") for digit in range(10)) == 1


@pytest.mark.parametrize("number", ["AA 12 34 56 B", "hh 01 02 03 d", "tw987654a", "QQ-12-34-56-C"])
def test_national_insurance_numbers_are_found(number: str) -> None:
    expected = [] if number.startswith("QQ") else [number]  # Q is never given out
    assert values(f"({number})", "UK_NINO") == expected


@pytest.mark.parametrize(
    "number", ["BG123456A", "GB123456A", "AA123456E", "DA123456A", "AO123456A"]
)
def test_prefixes_and_suffixes_that_do_not_exist_are_not(number: str) -> None:
    assert values(number, "UK_NINO") == []


def test_driving_licences_hold_a_date_of_birth() -> None:
    assert values("MORGA657054SM9IJ", "UK_DRIVING_LICENCE") == ["MORGA657054SM9IJ"]
    assert values("MORGA699054SM9IJ", "UK_DRIVING_LICENCE") == []


def test_passports_need_a_word() -> None:
    assert found("it is 925665416") == []
    assert values("British passport AB1234567", "UK_PASSPORT") == ["AB1234567"]
