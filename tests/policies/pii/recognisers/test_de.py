import pytest

from policies.pii.recognisers.de import is_pension_number, is_tax_id
from tests.policies.pii.finding import found, values


@pytest.mark.parametrize("number", ["86095742719", "65929970489", "86 095 742 719"])
def test_tax_ids_are_found(number: str) -> None:
    assert found(number) == [("DE_TAX_ID", number)]


def test_their_digits_repeat_as_the_law_says() -> None:
    assert not is_tax_id("11111111119")
    assert not is_tax_id("12345678903")  # ten different digits
    assert sum(is_tax_id(f"8609574271{digit}") for digit in range(10)) == 1


def test_pension_numbers_are_found() -> None:
    assert is_pension_number("15070649C103")
    assert found("15 070649 C 103") == [("DE_SOCIAL_SECURITY", "15 070649 C 103")]
    assert not is_pension_number("15070649C104")


def test_documents_need_a_word_and_their_check_digit() -> None:
    assert values("Reisepass C01X00T47", "DE_PASSPORT") == ["C01X00T47"]
    assert values("Reisepass C01X00T478", "DE_PASSPORT") == ["C01X00T478"]
    assert values("Reisepass C01X00T471", "DE_PASSPORT") == []
    assert values("Personalausweis L01X00T47", "DE_ID_CARD") == ["L01X00T47"]
    assert found("C01X00T47 L01X00T47") == []
