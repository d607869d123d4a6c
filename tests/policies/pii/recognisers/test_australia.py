from policies.pii.recognisers.australia import is_abn, is_acn, is_medicare, is_tfn
from tests.policies.pii.finding import found, values


def test_business_numbers_are_found() -> None:
    for number in ("51 824 753 556", "51824753556"):
        assert found(number) == [("AU_ABN", number)]


def test_company_numbers_need_a_word() -> None:
    for number in ("005 499 981", "000000019", "000 000 019"):
        assert values(f"ACN {number}", "AU_ACN") == [number]
        assert values(f"it is {number}", "AU_ACN") == []


def test_tax_file_numbers_need_a_word() -> None:
    for number in ("876543210", "876 543 210"):
        assert values(f"tax file number {number}", "AU_TFN") == [number]
        assert values(f"it is {number}", "AU_TFN") == []


def test_medicare_numbers_are_found_in_groups_or_with_a_word() -> None:
    assert found("2123 45670 1") == [("AU_MEDICARE", "2123 45670 1")]
    assert found("it is 2123456701") == []
    assert values("medicare 2123456701", "AU_MEDICARE") == ["2123456701"]


def test_wrong_digits_are_noticed() -> None:
    assert sum(is_abn(f"5182475355{digit}") for digit in range(10)) == 1
    assert sum(is_acn(f"00549998{digit}") for digit in range(10)) == 1
    assert sum(is_tfn(f"87654321{digit}") for digit in range(10)) == 1
    assert sum(is_medicare(f"21234567{digit}1") for digit in range(10)) == 1
