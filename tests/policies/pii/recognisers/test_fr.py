import pytest

from policies.pii.recognisers.fr import is_nir
from tests.policies.pii.finding import found


@pytest.mark.parametrize(
    "number", ["185057800608491", "1 85 05 78 006 084 91", "2 55 08 14 168 025 38"]
)
def test_numbers_with_their_key_are_found(number: str) -> None:
    assert found(f"Sécu : {number}.") == [("FR_NIR", number)]


def test_corsican_departments_count_as_eighteen_and_nineteen() -> None:
    for department, stands_for in (("2A", 19), ("2B", 18)):
        key = 97 - int(f"18505{stands_for}006084") % 97
        number = f"18505{department}006084{key:02d}"
        assert found(number) == [("FR_NIR", number)]


def test_one_key_fits() -> None:
    assert sum(is_nir(f"1850578006084{key:02d}") for key in range(1, 98)) == 1
