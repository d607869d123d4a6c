"""Medicine: numbers of insured people, and of those who treat them."""

from policies.pii.checksums import digits, luhn
from policies.pii.recogniser import Recogniser, compact

# Letters of Medicare's identifiers: none that looks like a digit.
_L = rb"[AC-HJKMNP-RT-Yac-hjkmnp-rt-y]"
_M = rb"[AC-HJKMNP-RT-Yac-hjkmnp-rt-y0-9]"
_MBI = rb"mbi|medicare|beneficiary|patient|member"
_KVNR = (
    rb"kvnr|krankenvers(?:icherung|ichertennummer|icherungsnummer)s?|versichertennummer"
    rb"|krankenkasse|egk|gesundheitskarte|versichertenkarte|versicherungsnummer"
)


def is_npi(text: str) -> bool:
    """Ten digits from 1 or 2 on, with the Luhn digit of 80840 and them (45 CFR 162.406)."""
    number = digits(text)
    return len(set(number[:9])) > 1 and luhn(f"80840{number}")


def is_dea(text: str) -> bool:
    """The odd places plus twice the even ones end with the seventh digit (21 CFR 1301)."""
    number = [int(digit) for digit in digits(text)[-7:]]
    total = sum(number[0:6:2]) + 2 * sum(number[1:6:2])
    return sum(number) > 0 and total % 10 == number[6]


def is_kvnr(text: str) -> bool:
    """The letter as two digits, then eight and the check digit (SGB V para. 290, annex 1)."""
    number = compact(text)
    spread = f"{ord(number[0]) - ord('A') + 1:02d}{number[1:9]}"
    products = (int(digit) * (1 + place % 2) for place, digit in enumerate(spread))
    return sum(product // 10 + product % 10 for product in products) % 10 == int(number[9])


RECOGNISERS = (
    Recogniser(
        "US_MBI",
        rb"[1-9]" + _L + _M + rb"[0-9]-" + _L + _M + rb"[0-9]-" + _L + rb"{2}[0-9]{2}",
        0.85,
        context=_MBI,
    ),
    Recogniser(
        "US_MBI",
        rb"[1-9]" + _L + _M + rb"[0-9]" + _L + _M + rb"[0-9]" + _L + rb"{2}[0-9]{2}",
        0.3,
        alone=0.6,
        context=_MBI,
    ),
    Recogniser(
        "US_NPI",
        rb"[12][0-9]{9}",
        0.3,
        context=rb"npi|national provider|provider",
        check=is_npi,
    ),
    Recogniser(
        "US_NPI",
        rb"[12][0-9]{3}[ -][0-9]{3}[ -][0-9]{3}",
        0.3,
        alone=0.6,
        context=rb"npi|national provider|provider",
        check=is_npi,
    ),
    Recogniser(
        "US_DEA",
        rb"[A-HJ-MPR-UXa-hj-mpr-ux][A-Za-z9][0-9]{7}",
        0.3,
        context=rb"dea|medical licen[cs]e|prescriber|physician|certificate",
        check=is_dea,
    ),
    Recogniser(
        "DE_HEALTH_INSURANCE",
        rb"[A-Za-z][0-9]{9}",
        0.3,
        alone=0.6,
        context=_KVNR,
        check=is_kvnr,
    ),
)
