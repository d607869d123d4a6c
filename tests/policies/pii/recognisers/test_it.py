import pytest

from policies.pii.recognisers.it import is_fiscal_code, is_vat_code
from tests.policies.pii.finding import found, values


@pytest.mark.parametrize("code", ["RSSMRA85T10A562S", "rssmra85t10a562s", "BNCLRA90A41H501M"])
def test_fiscal_codes_are_found(code: str) -> None:
    expected = [code] if is_fiscal_code(code) else []
    assert values(f"cf {code}", "IT_FISCAL_CODE") == expected
    assert is_fiscal_code("RSSMRA85T10A562S")


def test_digits_that_were_replaced_by_letters_are_read() -> None:
    changed = next(
        code
        for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        if is_fiscal_code(code := f"RSSMRA85T10A56N{letter}")
    )
    assert found(changed) == [("IT_FISCAL_CODE", changed)]


def test_one_check_letter_fits() -> None:
    assert sum(is_fiscal_code(f"RSSMRA85T10A562{chr(65 + at)}") for at in range(26)) == 1
    assert not is_fiscal_code("RSSMRA85T39A562S")  # no day of that number


def test_vat_numbers_need_a_word_and_their_digit() -> None:
    assert is_vat_code("01333550323")
    assert values("P.IVA 01333550323", "IT_VAT_CODE") == ["01333550323"]
    assert values("P.IVA 01333550322", "IT_VAT_CODE") == []
    assert values("number 01333550323", "IT_VAT_CODE") == []


def test_documents_need_a_word() -> None:
    assert values("patente AA0123456B", "IT_DRIVER_LICENSE") == ["AA0123456B"]
    assert values("passaporto AA1234567", "IT_PASSPORT") == ["AA1234567"]
    assert values("carta d'identità AA12345BC", "IT_IDENTITY_CARD") == ["AA12345BC"]
    assert found("AA12345BC AA0123456B") == []
