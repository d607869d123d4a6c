"""India: Aadhaar, PAN, passports and voters' cards."""

from policies.pii.checksums import digits, verhoeff
from policies.pii.recogniser import Recogniser, left, right

_AADHAAR = rb"aadhaar|aadhar|uidai|uid"


def is_aadhaar(text: str) -> bool:
    """Twelve digits from 2 on with Verhoeff's check digit; UIDAI gives out no palindromes."""
    number = digits(text)
    return number != number[::-1] and verhoeff(number)


RECOGNISERS = (
    Recogniser(
        "IN_AADHAAR",
        rb"[2-9][0-9]{3} [0-9]{4} [0-9]{4}|[2-9][0-9]{3}-[0-9]{4}-[0-9]{4}"
        rb"|[2-9][0-9]{3}:[0-9]{4}:[0-9]{4}",
        0.7,
        0.97,
        context=_AADHAAR,
        check=is_aadhaar,
        left=left(rb" :.\-"),
        right=right(rb" :.\-"),
    ),
    Recogniser(
        "IN_AADHAAR",
        rb"[2-9][0-9]{3} [0-9]{4} [0-9]{4}",
        0.3,
        0.97,
        context=_AADHAAR,
        check=is_aadhaar,
    ),
    Recogniser(
        "IN_AADHAAR",
        rb"[2-9][0-9]{11}",
        0.3,
        alone=0.6,
        context=_AADHAAR,
        check=is_aadhaar,
    ),
    # The fourth letter says what kind of person holds it.
    Recogniser(
        "IN_PAN",
        rb"[A-Z]{3}[ABCEFGHJKLPT][A-Z][0-9]{4}[A-Z]",
        0.7,
        context=rb"pan|permanent account|income tax|tax",
    ),
    Recogniser(
        "IN_PAN",
        rb"[A-Za-z]{5}[0-9]{4}[A-Za-z]",
        0.3,
        context=rb"pan|permanent account|income tax",
    ),
    Recogniser("IN_PASSPORT", rb"[A-Za-z][1-9][0-9]{6}", 0.1, 0.85, context=rb"passports?"),
    Recogniser(
        "IN_VOTER",
        rb"[A-Za-z]{3}[0-9]{7}",
        0.3,
        0.9,
        context=rb"vot(?:ers?|e|ing)|epic|elector(?:al)?",
    ),
)
