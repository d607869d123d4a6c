import pytest

from policies.pii.recognisers.us import is_itin, is_routing, is_ssn
from tests.policies.pii.finding import found, values


def test_social_security_numbers_are_found_in_their_own_form() -> None:
    assert found("It is 536-90-4399.") == [("US_SSN", "536-90-4399")]


@pytest.mark.parametrize("number", ["536 90 4399", "536.90.4399"])
def test_groups_say_it_unless_they_stand_in_a_row_of_numbers(number: str) -> None:
    assert values(f"see {number}", "US_SSN") == [number]
    assert values(f"sizes 12 {number} 8", "US_SSN") == []


@pytest.mark.parametrize("number", ["536904399", "53690-4399", "536-904399"])
def test_in_other_forms_they_need_a_word(number: str) -> None:
    assert values(f"see {number}", "US_SSN") == []
    assert values(f"my SSN is {number}", "US_SSN") == [number]
    assert values(f"{number} (social security)", "US_SSN") == [number]


@pytest.mark.parametrize(
    "number",
    [
        "000-12-3456",
        "666-12-3456",
        "900-12-3456",
        "123-00-4567",
        "123-45-0000",
        "078-05-1120",
        "219-09-9999",
        "111-11-1111",
    ],
)
def test_numbers_that_were_never_given_out_are_not(number: str) -> None:
    assert not is_ssn(number)
    assert values(f"ssn {number}", "US_SSN") == []


def test_taxpayer_numbers_have_their_groups() -> None:
    assert found("911-70-1234") == [("US_ITIN", "911-70-1234")]
    assert values("ITIN 911701234", "US_ITIN") == ["911701234"]
    assert not is_itin("911-45-1234")
    assert not is_itin("811-70-1234")


def test_routing_numbers_have_districts_and_a_check_digit() -> None:
    assert values("ABA routing number 121000358", "US_ROUTING_NUMBER") == ["121000358"]
    assert values("routing 3222-7162-7", "US_ROUTING_NUMBER") == ["3222-7162-7"]
    assert not is_routing("121000357")
    assert not is_routing("421000352")


def test_the_nearest_word_says_what_a_number_is() -> None:
    text = "passport 912803456, driver license H12234567, bank account 12345678901"
    assert found(text) == [
        ("US_PASSPORT", "912803456"),
        ("US_DRIVER_LICENSE", "H12234567"),
        ("US_BANK_ACCOUNT", "12345678901"),
    ]


@pytest.mark.parametrize("text", ["912803456", "H12234567", "part 12345678901", "at 121000358"])
def test_without_a_word_they_are_just_numbers(text: str) -> None:
    assert found(text) == []


def test_what_the_text_is_called_counts_as_a_word() -> None:
    assert found("536904399", hint="customer_ssn") == [("US_SSN", "536904399")]
    assert found("536904399", hint="session") == []
