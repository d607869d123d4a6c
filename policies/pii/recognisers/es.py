"""Spain: NIF, NIE and passports."""

from policies.pii.checksums import digits
from policies.pii.recogniser import Recogniser, compact

_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_CONTEXT = rb"nif|dni|nie|documento nacional|identificacion|identidad|extranjero"


def is_nif(text: str) -> bool:
    """The letter is the number modulo 23 (Real Decreto 1553/2005)."""
    return compact(text)[-1] == _LETTERS[int(digits(text)) % 23]


def is_nie(text: str) -> bool:
    """As for the NIF, X, Y and Z standing for 0, 1 and 2."""
    number = compact(text)
    return number[-1] == _LETTERS[int(f"{'XYZ'.index(number[0])}{number[1:-1]}") % 23]


RECOGNISERS = (
    Recogniser(
        "ES_NIF", rb"[0-9]{7,8}-[A-Za-z]|[0-9]{8}[A-Za-z]", 0.65, context=_CONTEXT, check=is_nif
    ),
    Recogniser(
        "ES_NIF",
        rb"[0-9]{7} ?[A-Za-z]|[0-9]{8} [A-Za-z]",
        0.3,
        alone=0.6,
        context=_CONTEXT,
        check=is_nif,
    ),
    Recogniser("ES_NIE", rb"[XYZxyz]-?[0-9]{7}-?[A-Za-z]", 0.7, context=_CONTEXT, check=is_nie),
    Recogniser(
        "ES_PASSPORT", rb"[A-Za-z]{2,3}[0-9]{6}", 0.1, 0.9, context=rb"pasaporte|passports?"
    ),
)
