"""International bank account numbers: ISO 13616, with the lengths of SWIFT's registry."""

from policies.pii.checksums import mod97
from policies.pii.recogniser import LINE, Recogniser, compact

LENGTHS = {
    **{"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22},
    **{"BI": 27, "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27},
    **{"DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27},
    **{"GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HN": 28, "HR": 21, "HU": 28},
    **{"IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28},
    **{"LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22},
    **{"MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23},
    **{"PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24},
    **{"SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28},
    **{"TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30},
}


def length(text: str) -> int:
    """How many characters of `text` an account number of its country has, blanks included."""
    wanted = LENGTHS.get(text[:2].upper(), 0)
    for place, letter in enumerate(text):
        if letter.isalnum():
            wanted -= 1
            if wanted == 0:
                return place + 1
    return 0


def is_iban(text: str) -> bool:
    """The country's length, and ISO 7064's remainder of 1."""
    number = compact(text)
    return len(number) == LENGTHS.get(number[:2]) and mod97(number[4:] + number[:4]) == 1


RECOGNISERS = (
    Recogniser(
        "IBAN",
        rb"[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,3})?"
        rb"|[A-Za-z]{2}[0-9]{2}[A-Za-z0-9]{11,29}",
        0.95,
        0.99,
        check=is_iban,
        trim=length,
        confusable=False,
    ),
    Recogniser(
        "IBAN",
        rb"[A-Z]{2}[0-9]{2}(?:(?:[ -][A-Z0-9]{4}){0,5}[ -][A-Z0-9]{3}[0-9])?"
        + LINE
        + rb"[0-9][A-Z0-9]{3}(?:[ -][A-Z0-9]{4}){0,6}(?:[ -][A-Z0-9]{1,3})?",
        0.9,
        0.99,
        check=is_iban,
        trim=length,
        confusable=False,
    ),
)
