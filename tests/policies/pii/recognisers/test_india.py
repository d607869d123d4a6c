import pytest

from policies.pii.recognisers.india import is_aadhaar
from tests.policies.pii.finding import found, values


@pytest.mark.parametrize("number", ["3123 4567 8909", "3123-4567-8909", "3998 7654 3211"])
def test_aadhaar_numbers_are_found_in_groups(number: str) -> None:
    assert found(number) == [("IN_AADHAAR", number)]


def test_twelve_digits_need_a_word() -> None:
    assert found("it is 312345678909") == []
    assert values("Aadhaar 312345678909", "IN_AADHAAR") == ["312345678909"]


def test_check_digit_first_digit_and_palindromes() -> None:
    assert sum(is_aadhaar(f"31234567890{digit}") for digit in range(10)) == 1
    assert found("0123 4567 8909") == []
    assert values("aadhaar 123456789012", "IN_AADHAAR") == []


def test_permanent_account_numbers_say_who_holds_them() -> None:
    assert found("ABCPD1234Z") == [("IN_PAN", "ABCPD1234Z")]
    assert found("ABCXD1234Z") == []
    assert values("PAN: AAASA1111R", "IN_PAN") == ["AAASA1111R"]


def test_documents_need_a_word() -> None:
    assert found("A1234567 XYZ1234567") == []
    assert values("Indian passport K1234567", "IN_PASSPORT") == ["K1234567"]
    assert values("voter id XYZ1234567", "IN_VOTER") == ["XYZ1234567"]
