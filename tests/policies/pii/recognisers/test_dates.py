import pytest

from tests.policies.pii.finding import found


@pytest.mark.parametrize(
    "date",
    [
        "1990-03-12",
        "12/03/1990",
        "03/31/1985",
        "12.3.1990",
        "12 March 1990",
        "12th of march 1990",
        "March 12, 1990",
        "1st Jan 2001",
        "5/6/85",
    ],
)
def test_dates_of_birth_are_found_behind_words_that_say_so(date: str) -> None:
    for text in ("born on {}", "DOB: {}", "date of birth is {}.", '"birth_date": "{}"'):
        assert found(text.format(date)) == [("DATE_OF_BIRTH", date)]


@pytest.mark.parametrize("text", ["1990-03-12", "due 12 March 1990", "born on 31/31/1990"])
def test_other_dates_are_not(text: str) -> None:
    assert found(text) == []
