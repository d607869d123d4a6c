import pytest

from tests.policies.pii.finding import found, values


@pytest.mark.parametrize(
    "number",
    [
        "+14155552671",
        "+1 415-555-2671",
        "+1 (415) 555-2671",
        "+44 20 7946 0958",
        "+44 (0)20 7946 0958",
        "+4915112345678",
        "+33 6 12 34 56 78",
        "+91 98765 43210",
        "+8613812345678",
        "+972-9-762-5400",
        "+800 1234 5678",
    ],
)
def test_international_numbers_are_found(number: str) -> None:
    assert found(f"It's {number}, ok") == [("PHONE", number)]


@pytest.mark.parametrize("text", ["+1 123 456 7890", "+999 1234 5678", "1+14155552671", "+12"])
def test_numbers_that_no_plan_has_are_not(text: str) -> None:
    assert found(text) == []


def test_an_extension_belongs_to_the_number() -> None:
    assert found("+1 415-555-2671 ext. 12") == [("PHONE", "+1 415-555-2671 ext. 12")]


def test_dialled_prefixes_need_a_word() -> None:
    assert found("0044 20 7946 0958 x") == []
    assert values("call 0044 20 7946 0958", "PHONE") == ["0044 20 7946 0958"]
