"""France: the number of the register of persons (NIR, social security)."""

from policies.pii.recogniser import Recogniser, compact


def is_nir(text: str) -> bool:
    """Thirteen characters and their key, 97 minus the remainder by 97; Corsica counts as 19, 18."""
    number = compact(text).replace("2A", "19").replace("2B", "18")
    return 97 - int(number[:13]) % 97 == int(number[13:])


RECOGNISERS = (
    Recogniser(
        "FR_NIR",
        rb"[1-478] ?[0-9]{2} ?(?:0[1-9]|1[0-2]|[2-9][0-9]) ?(?:[0-9]{2}|2[ABab]) ?"
        rb"[0-9]{3} ?[0-9]{3}[ -]?[0-9]{2}",
        0.75,
        0.99,
        context=rb"nir|securite sociale|secu|insee|social",
        check=is_nir,
    ),
)
