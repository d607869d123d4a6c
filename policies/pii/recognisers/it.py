"""Italy: codice fiscale, partita IVA and documents."""

from policies.pii.checksums import digits, luhn
from policies.pii.recogniser import Recogniser, compact

_ODD_VALUES = (
    *(1, 0, 5, 7, 9, 13, 15, 17, 19, 21),
    *(1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
)
_ODD = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", _ODD_VALUES, strict=True))
_OMOCODIA = str.maketrans("LMNPQRSTUV", "0123456789")
# A digit, or the letter that stands for it where two people would share a code.
_D = rb"[0-9LMNP-Vlmnp-v]"


def is_fiscal_code(text: str) -> bool:
    """Check letter and day of birth (women's plus 40), decree of 23 December 1976."""
    code = compact(text)
    day = int(code[9:11].translate(_OMOCODIA)) % 40
    odd = sum(_ODD[letter] for letter in code[:15:2])
    even = sum(int(letter, 36) - 10 * letter.isalpha() for letter in code[1:15:2])
    return 1 <= day <= 31 and (odd + even) % 26 == ord(code[15]) - ord("A")


def is_vat_code(text: str) -> bool:
    """Eleven digits with their Luhn digit, of a province (001 to 100) or an office above it."""
    number = digits(text)
    return number[:7] != "0000000" and luhn(number)


RECOGNISERS = (
    Recogniser(
        "IT_FISCAL_CODE",
        rb"[A-Za-z]{6}" + _D + rb"{2}[A-EHLMPR-Ta-ehlmpr-t]" + _D + rb"{2}[A-Za-z]"
        + _D + rb"{3}[A-Za-z]",
        0.9,
        0.99,
        context=rb"codice fiscale|cf|fiscal",
        check=is_fiscal_code,
    ),
    Recogniser(
        "IT_VAT_CODE",
        rb"(?:IT ?)?[0-9]{11}",
        0.3,
        alone=0.55,
        context=rb"piva|p\.? ?iva|partita iva|pi|vat",
        check=is_vat_code,
    ),
    Recogniser(
        "IT_DRIVER_LICENSE",
        rb"[A-Za-z]{2}[0-9]{7}[A-Za-z]|U1[B-DF-HJ-NP-TV-Y0-9]{7}[A-Z]",
        0.3,
        0.9,
        context=rb"patente(?: di guida)?|licenza(?: di guida)?|driv(?:er|ing)|licen[cs]e",
    ),
    Recogniser(
        "IT_PASSPORT", rb"[A-Za-z]{2}[0-9]{7}", 0.1, 0.9, context=rb"passaporto|italian passports?"
    ),
    Recogniser(
        "IT_IDENTITY_CARD",
        rb"[A-Za-z]{2}[0-9]{5}[A-Za-z]{2}|[0-9]{7}[A-Za-z]{2}|[A-Za-z]{2} ?[0-9]{7}",
        0.1,
        0.9,
        context=rb"carta (?:d'|di )?identita|identity card|cie|documento",
    ),
)  # fmt: skip
