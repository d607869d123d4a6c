"""Germany: tax identification, pension insurance, passports and identity cards."""

from collections import Counter

from policies.pii.checksums import digits, mod11_10, weighted
from policies.pii.recogniser import Recogniser, compact

_TAX = rb"steuer|steuer-?identifikations?|steuer-?id(?:nr)?|idnr|tin|tax|identifikationsnummer"
_PASSPORT = rb"reisepass(?:es|nummer|nr)?|pass(?:nummer|nr)|german passports?"
_CARD = rb"(?:personal)?ausweis(?:es|nummer|nr)?|id[- ]?(?:card|karte)|identity card"
_ALPHABET = rb"[CFGHJKLMNPRTVWXYZ0-9]"
_DOCUMENT = rb"(?i:[CFGHJKLMNPRTVWXYZ]" + _ALPHABET + rb"{8}[0-9]?)"


def is_tax_id(text: str) -> bool:
    """Of the first ten digits one stands two or three times; ISO 7064 MOD 11,10 (para. 139b AO)."""
    number = digits(text)
    counts = sorted(Counter(number[:10]).values(), reverse=True)
    repeated = counts[0] in (2, 3) and counts[1] == 1
    return number[0] != "0" and repeated and mod11_10(number)


def is_tax_number(text: str) -> bool:
    """The check digit, and no digit four times: numbers made up for examples repeat none."""
    number = digits(text)
    return number[0] != "0" and max(Counter(number[:10]).values()) <= 3 and mod11_10(number)


def is_pension_number(text: str) -> bool:
    """Area, birthday, initial, serial, check digit (VKVV para. 2)."""
    number = compact(text)
    letter = ord(number[8]) - ord("A") + 1
    spread = f"{number[:8]}{letter:02d}{number[9:11]}"
    products = (
        int(digit) * weight
        for digit, weight in zip(spread, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=True)
    )
    day, month = int(number[2:4]), int(number[4:6])
    total = sum(product // 10 + product % 10 for product in products)
    return day % 50 <= 31 and 1 <= month <= 12 and total % 10 == int(number[11])


def is_document(text: str) -> bool:
    """Where the check digit of ICAO Doc 9303 is written behind it, it must be right."""
    number = compact(text)
    return any(map(str.isdigit, number)) if len(number) == 9 else is_checked(text)


def is_checked(text: str) -> bool:
    """Whether the last character is the check digit of those before it (ICAO Doc 9303, 4.9)."""
    number = compact(text)
    values = "".join(str(int(letter, 36) % 10) for letter in number[:-1])
    return number[-1].isdigit() and weighted(values, (7, 3, 1) * 3) % 10 == int(number[-1])


RECOGNISERS = (
    Recogniser(
        "DE_TAX_ID",
        rb"[0-9]{2}[ /-][0-9]{3}[ /-][0-9]{3}[ /-][0-9]{3}",
        0.7,
        0.97,
        context=_TAX,
        check=is_tax_id,
    ),
    # Whoever writes that it is one may have an older or a made-up one.
    Recogniser(
        "DE_TAX_ID",
        rb"[1-9][0-9]{10}",
        0.3,
        0.97,
        alone=0.6,
        context=_TAX,
        check=is_tax_number,
    ),
    Recogniser(
        "DE_SOCIAL_SECURITY",
        rb"[0-9]{2} ?[0-9]{6} ?[A-Z] ?[0-9]{3}",
        0.6,
        context=rb"sozialversicherung|rentenversicherung|versicherungsnummer|sv-?n(?:ummer|r)",
        check=is_pension_number,
    ),
    Recogniser(
        "DE_PASSPORT", _DOCUMENT, 0.1, 0.92, context=_PASSPORT, check=is_document, longest=10
    ),
    Recogniser(
        "DE_PASSPORT",
        _DOCUMENT,
        0.1,
        0.85,
        context=rb"pass(?:port)?|passports?",
        check=is_document,
        longest=10,
    ),
    Recogniser("DE_ID_CARD", _DOCUMENT, 0.1, 0.9, context=_CARD, check=is_document, longest=10),
    Recogniser(
        "DE_PASSPORT",
        rb"(?i:[CFGHJK]" + _ALPHABET + rb"{8})",
        0.1,
        0.1,
        alone=0.6,
        check=is_checked,
    ),
    Recogniser(
        "DE_ID_CARD",
        rb"(?i:[LMNPRTVWXYZ]" + _ALPHABET + rb"{8})",
        0.1,
        0.1,
        alone=0.6,
        check=is_checked,
    ),
    # As they were numbered until 2010.
    Recogniser("DE_ID_CARD", rb"[Tt][0-9]{8}", 0.1, 0.1, alone=0.5),
)
