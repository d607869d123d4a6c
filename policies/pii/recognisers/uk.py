"""United Kingdom: health service, national insurance, passports and driving licences."""

from policies.pii.checksums import digits, weighted
from policies.pii.recogniser import APART_LEFT, APART_RIGHT, Recogniser, compact

_NHS = rb"nhs|national health|health service|patient"
_PASSPORT = rb"[0-9]{9}|[A-Za-z]{2}[0-9]{7}"
_NINO = rb"nino|ni ?(?:number|no)|national insurance|insurance"


def is_nhs(text: str) -> bool:
    """Modulus 11 over ten digits, as the NHS data dictionary has it."""
    number = digits(text)
    check = 11 - weighted(number[:9], range(10, 1, -1)) % 11
    return check != 10 and check % 11 == int(number[9]) and len(set(number)) > 1


def is_nino(text: str) -> bool:
    """A prefix that HMRC gives out (manual NIM39110)."""
    return compact(text)[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")


def is_licence(text: str) -> bool:
    """The DVLA's sixteen characters, whose second part is a date of birth, women's plus 50."""
    number = compact(text)
    month, day = int(number[6:8]) % 50, int(number[8:10])
    return 1 <= month <= 12 and 1 <= day <= 31 and number[:5].rstrip("9").isalpha()


RECOGNISERS = (
    Recogniser(
        "UK_NHS",
        rb"[0-9]{3} [0-9]{3} [0-9]{4}",
        0.65,
        0.97,
        context=_NHS,
        check=is_nhs,
        left=APART_LEFT,
        right=APART_RIGHT,
    ),
    Recogniser("UK_NHS", rb"[0-9]{3} [0-9]{3} [0-9]{4}", 0.3, 0.97, context=_NHS, check=is_nhs),
    # Rather a telephone number, if North America has it.
    Recogniser("UK_NHS", rb"[0-9]{3}-[0-9]{3}-[0-9]{4}", 0.55, 0.97, context=_NHS, check=is_nhs),
    Recogniser("UK_NHS", rb"[0-9]{10}", 0.3, context=_NHS, check=is_nhs),
    # Books are numbered with the same check digit, but rather from 0 and 1 on.
    Recogniser("UK_NHS", rb"[467][0-9]{9}", 0.3, 0.3, alone=0.6, check=is_nhs),
    Recogniser(
        "UK_NINO",
        rb"(?i:[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?:[ -]?[0-9]{2}){3}[ -]?[A-D])",
        0.65,
        context=_NINO,
        check=is_nino,
    ),
    Recogniser("UK_PASSPORT", _PASSPORT, 0.1, 0.98, context=rb"(?:uk|british|gb) passports?"),
    Recogniser("UK_PASSPORT", _PASSPORT, 0.1, 0.9, context=rb"passports?"),
    Recogniser(
        "UK_DRIVING_LICENCE",
        rb"(?i:[A-Z]{1,5}9{0,4}[0-9]{6}[A-Z9]{2}[0-9A-Z][A-Z]{2}(?: ?[0-9]{2})?)",
        0.6,
        context=rb"driving licen[cs]e|driver|licen[cs]e|dvla",
        check=lambda text: len(compact(text)) in (16, 18) and is_licence(text),
    ),
)
