"""United States: numbers of the SSA, the IRS, the State Department, the states and banks."""

import re

from policies.pii.checksums import digits, weighted
from policies.pii.recogniser import APART_LEFT, APART_RIGHT, Recogniser

_SSN = rb"ssns?|ssa|ss ?#|social ?security|social"
_ITIN = rb"itin|individual taxpayer|tax ?payer|taxpayer|tax id"
_BANK = (
    rb"bank(?:ing)?(?: ?account)?|checking|(?:savings|debit|deposit) account|direct deposit"
    rb"|account ?(?:number|no|num|#)|acct|a/c"
)
_ROUTING = rb"aba|routing|rtn|transit|bank"
_LICENCE = (
    rb"driv(?:er|ers|er's|ing) ?(?:licen[cs]e|permit)|licen[cs]e|permit|dl|dls|cdl|lic|dmv|id card"
)
_DAY = re.compile(r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])")
# Numbers that were printed in advertisements, and so stand for nobody.
_PRINTED = frozenset(("078051120", "219099999", "123456789", "987654321"))


def is_ssn(text: str) -> bool:
    """Area, group and serial as the SSA has given them out (20 CFR 422, SSA POMS RM 10201)."""
    number = digits(text)
    area, group, serial = number[:3], number[3:5], number[5:]
    return (
        area not in ("000", "666")
        and area < "900"
        and group != "00"
        and serial != "0000"
        and number not in _PRINTED
        and len(set(number)) > 1
        and one_separator(text)
    )


def is_itin(text: str) -> bool:
    """Nine digits from 900 on, with a group that the IRS uses (Publication 1915)."""
    number = digits(text)
    group = int(number[3:5])
    used = 50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or 94 <= group <= 99
    return number[0] == "9" and used


def is_routing(text: str) -> bool:
    """An ABA routing number: a Federal Reserve district and the check digit 3-7-1."""
    number = digits(text)
    district = int(number[:2])
    known = district <= 12 or 21 <= district <= 32 or 61 <= district <= 72 or district == 80
    checked = weighted(number, (3, 7, 1) * 3) % 10 == 0
    return known and int(number) > 0 and checked and number not in _PRINTED


def one_separator(text: str) -> bool:
    """Whether what stands between the digits is the same everywhere."""
    return len({letter for letter in text if not letter.isalnum()}) <= 1


def is_account(text: str) -> bool:
    """Not one digit repeated, and no day."""
    return len(set(digits(text))) > 1 and _DAY.fullmatch(text) is None


def is_licence(text: str) -> bool:
    """Words have no digits; and no day."""
    return sum(map(str.isdigit, text)) >= 3 and _DAY.fullmatch(text) is None


RECOGNISERS = (
    Recogniser("US_SSN", rb"[0-9]{3}-[0-9]{2}-[0-9]{4}", 0.85, context=_SSN, check=is_ssn),
    Recogniser(
        "US_SSN",
        rb"[0-9]{3} [0-9]{2} [0-9]{4}|[0-9]{3}\.[0-9]{2}\.[0-9]{4}",
        0.65,
        context=_SSN,
        check=is_ssn,
        left=APART_LEFT,
        right=APART_RIGHT,
    ),
    Recogniser(
        "US_SSN",
        rb"[0-9]{9}|[0-9]{3}[ .][0-9]{2}[ .][0-9]{4}|[0-9]{5}-[0-9]{4}|[0-9]{3}-[0-9]{6}",
        0.3,
        context=_SSN,
        check=is_ssn,
    ),
    Recogniser("US_ITIN", rb"9[0-9]{2}-[0-9]{2}-[0-9]{4}", 0.85, context=_ITIN, check=is_itin),
    Recogniser(
        "US_ITIN",
        rb"9[0-9]{2}[ -]?[0-9]{2}[ -]?[0-9]{4}",
        0.3,
        context=_ITIN,
        check=is_itin,
    ),
    Recogniser(
        "US_PASSPORT", rb"[0-9]{9}|[A-Za-z][0-9]{8}", 0.1, context=rb"passports?|travel document"
    ),
    Recogniser(
        "US_DRIVER_LICENSE",
        rb"[A-Za-z]{1,3}[0-9]{2}[0-9A-Za-z]{2,12}|[A-Za-z]{1,2}[0-9]{3,14}|[0-9]{6,14}"
        rb"|[A-Z][0-9]{3}-[0-9]{4}-[0-9]{4}|[A-Z][0-9]{3}-[0-9]{3}-[0-9]{2}-[0-9]{3}(?:-[0-9])?"
        rb"|[0-9]{2}[A-Z]{3}[0-9]{5}|[0-9]{2}-[0-9]{3}-[0-9]{3,4}|[0-9]{3} [0-9]{3} [0-9]{3}",
        0.1,
        0.9,
        context=_LICENCE,
        check=is_licence,
    ),
    Recogniser(
        "US_BANK_ACCOUNT", rb"[0-9]{8,17}", 0.1, 0.85, context=_BANK, check=is_account
    ),
    Recogniser(
        "US_ROUTING_NUMBER",
        rb"[0-9]{4}-[0-9]{4}-[0-9]",
        0.6,
        context=_ROUTING,
        check=is_routing,
    ),
    Recogniser(
        "US_ROUTING_NUMBER",
        rb"[0-9]{9}",
        0.3,
        alone=0.65,
        context=_ROUTING,
        check=is_routing,
    ),
)  # fmt: skip
