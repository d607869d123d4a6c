import pytest

from policies.pii.recognisers.es import is_nie, is_nif
from tests.policies.pii.finding import found, values


@pytest.mark.parametrize("number", ["55555555K", "55555555-K", "1111111-G", "01111111G"])
def test_nifs_are_found(number: str) -> None:
    assert found(number) == [("ES_NIF", number)]


@pytest.mark.parametrize("number", ["Z8078221M", "X9613851N", "Y8063915Z", "Y-8063915-Z"])
def test_nies_are_found(number: str) -> None:
    assert found(number) == [("ES_NIE", number)]


def test_only_one_letter_fits() -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    assert [letter for letter in letters if is_nif(f"12345678{letter}")] == ["Z"]
    assert [letter for letter in letters if is_nie(f"X1234567{letter}")] == ["L"]


def test_passports_need_a_word() -> None:
    assert found("AAA123456") == []
    assert values("pasaporte AAA123456", "ES_PASSPORT") == ["AAA123456"]
