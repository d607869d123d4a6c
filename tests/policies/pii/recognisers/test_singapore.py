import pytest

from policies.pii.recognisers.singapore import is_nric
from tests.policies.pii.finding import found

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@pytest.mark.parametrize(
    "number", ["S2740116C", "s2740116c", "T1234567J", "F2346401L", "G1122144L"]
)
def test_numbers_are_found(number: str) -> None:
    expected = [("SG_NRIC", number)] if is_nric(number) else []
    assert found(f"nric {number}") == expected
    assert is_nric("S2740116C")


@pytest.mark.parametrize("series", "STFGM")
def test_one_letter_fits_in_each_series(series: str) -> None:
    assert sum(is_nric(f"{series}1234567{letter}") for letter in LETTERS) == 1
