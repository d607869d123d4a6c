"""Australia: business and company numbers, tax files and Medicare."""

from policies.pii.checksums import digits, weighted
from policies.pii.recogniser import APART_LEFT, APART_RIGHT, Recogniser

_ABN = rb"abn|australian business|business number"
_ACN = rb"acn|australian company|company number"
_TFN = rb"tfn|tax file"
_MEDICARE = rb"medicare"


def is_abn(text: str) -> bool:
    """The first digit less one, weighted, modulo 89 (Australian Business Register)."""
    number = digits(text)
    weights = (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)
    return number[0] != "0" and (weighted(number, weights) - 10) % 89 == 0


def is_acn(text: str) -> bool:
    """The complement of the weighted sum modulo 10 (ASIC)."""
    number = digits(text)
    check = (10 - weighted(number[:8], range(8, 0, -1)) % 10) % 10
    return int(number) > 0 and check == int(number[8])


def is_tfn(text: str) -> bool:
    """Nine digits weighted, modulo 11 (Australian Taxation Office)."""
    number = digits(text)
    return len(set(number)) > 1 and weighted(number, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def is_medicare(text: str) -> bool:
    """The ninth digit checks the eight before it; the tenth counts issues."""
    number = digits(text)
    return weighted(number[:8], (1, 3, 7, 9) * 2) % 10 == int(number[8])


RECOGNISERS = (
    Recogniser(
        "AU_ABN",
        rb"[1-9][0-9] [0-9]{3} [0-9]{3} [0-9]{3}",
        0.6,
        context=_ABN,
        check=is_abn,
        left=APART_LEFT,
        right=APART_RIGHT,
    ),
    Recogniser(
        "AU_ABN",
        rb"[1-9][0-9] [0-9]{3} [0-9]{3} [0-9]{3}|[1-9][0-9]{10}",
        0.3,
        alone=0.65,
        context=_ABN,
        check=is_abn,
    ),
    Recogniser(
        "AU_TFN",
        rb"[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{3}",
        0.3,
        alone=0.6,
        context=_TFN,
        check=is_tfn,
    ),
    Recogniser(
        "AU_ACN", rb"[0-9]{3}(?: ?[0-9]{3}){2}", 0.3, alone=0.55, context=_ACN, check=is_acn
    ),
    Recogniser(
        "AU_MEDICARE",
        rb"[2-6][0-9]{3}[ -][0-9]{5}[ -][0-9](?:[ /-][0-9])?",
        0.65,
        context=_MEDICARE,
        check=is_medicare,
    ),
    Recogniser(
        "AU_MEDICARE",
        rb"[2-6][0-9]{9,10}",
        0.3,
        alone=0.6,
        context=_MEDICARE,
        check=is_medicare,
    ),
)
