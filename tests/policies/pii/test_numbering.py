import pytest

from policies.pii.numbering import is_international, is_region, national_plan, without_extension


def test_regions_are_iso_3166() -> None:
    assert is_region("SG")
    assert not is_region("UK")


@pytest.mark.parametrize("number", ["+1 415-555-2671", "0044 20 7946 0958", "011 44 20 7946 0958"])
def test_calling_codes_stand_behind_what_dials_abroad(number: str) -> None:
    assert is_international(number)


def test_a_trunk_prefix_may_be_left_in() -> None:
    assert is_international("+44 (0)20 7946 0958")
    assert is_international("+44 020 7946 0958")
    assert not is_international("+1 0415 555 2671")


def test_a_plan_takes_numbers_with_and_without_the_trunk_prefix() -> None:
    plan = national_plan(("GB", "US"))
    for number in ("2079460958", "02079460958", "4155552671", "14155552671"):
        assert plan.fullmatch(number)
    assert not plan.fullmatch("04155552671")


def test_extensions_are_no_part_of_a_number() -> None:
    assert without_extension("415-555-2671 ext. 12") == "415-555-2671"
    assert without_extension("415-555-2671x12") == "415-555-2671"
