"""How made-up values are written: patterns filled by chance, until they pass a check."""

import random
import string
from collections.abc import Callable

Maker = Callable[[random.Random], str]

FIRST = ["anna", "ben", "chloe", "dmitri", "elif", "farid", "greta", "hiro", "ines", "jorge"]
LETTERS = string.ascii_uppercase


def pattern(rng: random.Random, form: str) -> str:
    """`#` is a digit, `@` a capital letter, anything else itself."""
    kinds = {"#": string.digits, "@": LETTERS}
    return "".join(rng.choice(kinds[sign]) if sign in kinds else sign for sign in form)


def fitting(check: Callable[[str], bool], make: Callable[[], str]) -> str:
    """The first value that passes."""
    return next(value for _ in iter(int, 1) if check(value := make()))


def formed(check: Callable[[str], bool], *forms: str) -> Maker:
    """One of the forms, filled so that the check passes."""

    def make(rng: random.Random) -> str:
        form = rng.choice(forms)
        return fitting(check, lambda: pattern(rng, form))

    return make


def grouped(text: str, size: int, sign: str) -> str:
    return sign.join(text[at : at + size] for at in range(0, len(text), size))
