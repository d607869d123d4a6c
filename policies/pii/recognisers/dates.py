"""Dates of birth: any date, where the words before it say what it is."""

import re
from datetime import date

from policies.pii.recogniser import Recogniser

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = (
    rb"(?i:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    rb"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_NUMBER = re.compile(r"[0-9]+")
_NAME = re.compile(r"[A-Za-z]{3,}")


def is_date(text: str) -> bool:
    """A day between 1900 and 2100, in whichever order, years with two digits included."""
    numbers = [int(number) for number in _NUMBER.findall(text)]
    if (name := _NAME.search(text)) is not None:
        numbers.insert(1, _MONTHS.index(name[0][:3].lower()) + 1)
    first, middle, last = numbers
    if first > 31:
        return _exists(first, middle, last)
    year = last if last >= 100 else 1900 + last
    return _exists(year, middle, first) or _exists(year, first, middle)


def _exists(year: int, month: int, day: int) -> bool:
    try:
        return 1900 <= date(year, month, day).year <= 2100
    except ValueError:
        return False


RECOGNISERS = (
    Recogniser(
        "DATE_OF_BIRTH",
        rb"[0-9]{1,2}/[0-9]{1,2}/(?:[0-9]{4}|[0-9]{2})|[0-9]{1,2}-[0-9]{1,2}-(?:[0-9]{4}|[0-9]{2})"
        rb"|[0-9]{1,2}\.[0-9]{1,2}\.(?:[0-9]{4}|[0-9]{2})|[0-9]{4}[./-][0-9]{1,2}[./-][0-9]{1,2}"
        rb"|[0-9]{1,2}(?:st|nd|rd|th)?[ -](?:of )?" + _MONTH + rb",?[ -][0-9]{4}"
        rb"|" + _MONTH + rb" [0-9]{1,2}(?:st|nd|rd|th)?,? [0-9]{4}",
        0.1,
        0.9,
        context=rb"born(?: on)?|dob|d\.o\.b\.?|date of birth|birth ?(?:date|day)?|bday|geboren"
        rb"|geburtsdatum|nacimiento|nacid[oa]|naissance|nee? le|nato|nata|nascita",
        check=is_date,
        canonical=lambda text: text.lower().replace(",", ""),
    ),
)
