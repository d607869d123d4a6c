"""France: the number of the register of persons (NIR, social security)."""

from policies.pii.recogniser import APART_LEFT, APART_RIGHT, Recogniser, compact


def is_nir(text: str) -> bool:
    """Thirteen characters and their key, 97 minus the remainder by 97; Corsica counts as 19, 18."""
    number = compact(text).replace("2A", "19").replace("2B", "18")
    return 97 - int(number[:13]) % 97 == int(number[13:])


_MONTH = rb"(?:0[1-9]|1[0-2]|[2-9][0-9])"
_PLACE = rb"(?:[0-9]{2}|2[ABab])"
_CONTEXT = rb"nir|securite sociale|secu|insee|social"

RECOGNISERS = (
    Recogniser(
        "FR_NIR",
        rb"[1-478][0-9]{2}" + _MONTH + _PLACE + rb"[0-9]{6}[ -]?[0-9]{2}",
        0.75,
        0.99,
        context=_CONTEXT,
        check=is_nir,
    ),
    Recogniser(
        "FR_NIR",
        rb"[1-478] [0-9]{2} " + _MONTH + rb" " + _PLACE + rb" [0-9]{3} [0-9]{3}[ -][0-9]{2}",
        0.75,
        0.99,
        context=_CONTEXT,
        check=is_nir,
        left=APART_LEFT,
        right=APART_RIGHT,
    ),
    Recogniser(
        "FR_NIR",
        rb"[1-478] ?[0-9]{2} ?" + _MONTH + rb" ?" + _PLACE + rb" ?[0-9]{3} ?[0-9]{3}[ -]?[0-9]{2}",
        0.3,
        0.99,
        context=_CONTEXT,
        check=is_nir,
    ),
)
