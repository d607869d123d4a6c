import pytest

from policies.pii.recognisers.medical import is_dea, is_kvnr, is_npi
from tests.policies.pii.finding import found, values


def test_medicare_identifiers_have_a_form_of_their_own() -> None:
    assert found("see 1EG4-TE5-MK73") == [("US_MBI", "1EG4-TE5-MK73")]
    assert values("her Medicare number is 1EG4TE5MK73", "US_MBI") == ["1EG4TE5MK73"]
    assert found("see 1EG4TE5MK73") == []
    assert found("see 1SG4-TE5-MK73") == []


@pytest.mark.parametrize("number", ["1234567893", "1234-567-893", "1234 567 893"])
def test_providers_need_a_word(number: str) -> None:
    assert values(f"NPI {number}", "US_NPI") == [number]
    assert found(f"see {number}.") == []


def test_prescribers_need_a_word() -> None:
    assert values("DEA number AB1234563", "US_DEA") == ["AB1234563"]
    assert found("see AB1234563") == []


def test_german_insurance_needs_a_word() -> None:
    assert values("KVNR: A123456780", "DE_HEALTH_INSURANCE") == ["A123456780"]
    assert found("see A123456780") == []


def test_wrong_digits_are_noticed() -> None:
    assert sum(is_npi(f"123456789{digit}") for digit in range(10)) == 1
    assert sum(is_dea(f"AB123456{digit}") for digit in range(10)) == 1
    assert sum(is_kvnr(f"A12345678{digit}") for digit in range(10)) == 1
