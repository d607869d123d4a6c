"""Other ways to write the same characters, which hide nothing from a reader."""

import random
from collections.abc import Callable, Mapping

Disguise = Callable[[str, random.Random], str]

_WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
_BLANKS = "\u00a0\u2007\u2009\u202f\u3000"
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2212\uff0d"
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad"


def invisible(text: str, rng: random.Random) -> str:
    """Zero-width characters between some of the letters."""
    return (
        "".join(
            letter + (rng.choice(_INVISIBLE) if rng.random() < 0.3 else "") for letter in text[:-1]
        )
        + text[-1:]
    )


def wide(text: str, rng: random.Random) -> str:
    """Full width, as East Asian keyboards write."""
    return text.translate(_WIDE)


def entities(text: str, rng: random.Random) -> str:
    """HTML entities for some characters."""
    return "".join(
        rng.choice((f"&#{ord(letter)};", f"&#x{ord(letter):x};"))
        if not letter.isspace() and rng.random() < 0.3
        else letter
        for letter in text
    )


def percent(text: str, rng: random.Random) -> str:
    """Percent escapes for signs, as in URLs."""
    return "".join(
        f"%{ord(letter):02X}" if letter in "@+: -" and rng.random() < 0.8 else letter
        for letter in text
    )


def blanks(text: str, rng: random.Random) -> str:
    """Blanks that don't break, thin ones and wide ones."""
    return text.replace(" ", rng.choice(_BLANKS))


def dashes(text: str, rng: random.Random) -> str:
    """Hyphens and dashes of Unicode."""
    return text.replace("-", rng.choice(_DASHES))


def other_digits(text: str, rng: random.Random) -> str:
    """Digits of another script."""
    zero = rng.choice((0x0660, 0x0966, 0x1D7CE, 0xFF10))
    return "".join(chr(zero + int(sign)) if sign in "0123456789" else sign for sign in text)


DISGUISES: Mapping[str, Disguise] = {
    "zero-width": invisible,
    "full width": wide,
    "HTML entities": entities,
    "percent escapes": percent,
    "blanks": blanks,
    "dashes": dashes,
    "other digits": other_digits,
}
