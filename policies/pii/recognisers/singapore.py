"""Singapore: NRIC and FIN."""

from policies.pii.checksums import weighted
from policies.pii.recogniser import Recogniser, compact

_LETTERS = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "F": "XWUTRQPNMLK", "G": "XWUTRQPNMLK"}
_LETTERS["M"] = "KLJNPQRTUWX"
_OFFSETS = {"T": 4, "G": 4, "M": 3}


def is_nric(text: str) -> bool:
    """The letter is the weighted sum modulo 11, with an offset for each series."""
    number = compact(text)
    total = weighted(number[1:8], (2, 7, 6, 5, 4, 3, 2)) + _OFFSETS.get(number[0], 0)
    index = total % 11
    if number[0] == "M":
        index = 10 - index
    return number[8] == _LETTERS[number[0]][index]


RECOGNISERS = (
    Recogniser(
        "SG_NRIC",
        rb"(?i:[STFGM])[0-9]{7}[A-Za-z]",
        0.7,
        context=rb"nric|fin|identity card|singapore",
        check=is_nric,
    ),
)
