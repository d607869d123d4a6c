"""Check digits that several countries and card schemes share.

All functions take strings of ASCII digits (or letters where they say so) and don't raise for them.
"""

from collections.abc import Sequence

_DIGITS = {code: None for code in range(256) if not 0x30 <= code <= 0x39}
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def digits(text: str) -> str:
    """The digits of a folded text, without what separates them."""
    return text.translate(_DIGITS)


def luhn(number: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = sum(int(digit) for digit in number[-1::-2])
    return (total + sum(_DOUBLED[int(digit)] for digit in number[-2::-2])) % 10 == 0


def weighted(number: str, weights: Sequence[int]) -> int:
    """The sum of the digits times their weights."""
    return sum(int(digit) * weight for digit, weight in zip(number, weights, strict=False))


def mod97(text: str) -> int:
    """ISO 7064 MOD 97-10 of digits and capital letters (A is 10, Z is 35)."""
    return int("".join(str(int(letter, 36)) for letter in text)) % 97


def mod11_10(number: str) -> bool:
    """ISO 7064 MOD 11,10, the last digit being the check digit."""
    product = 10
    for digit in number[:-1]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(number[-1])


# Verhoeff, "Error detecting decimal codes" (1969): the dihedral group D5 and its permutation.
_D5 = tuple(
    tuple(
        (a + b) % 5 if a < 5 and b < 5
        else (a + b) % 5 + 5 if a < 5
        else (a - b) % 5 + 5 if b < 5
        else (a - b) % 5
        for b in range(10)
    )
    for a in range(10)
)  # fmt: skip
_STEP = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def _permutations() -> tuple[tuple[int, ...], ...]:
    rows = [tuple(range(10))]
    for _ in range(7):
        rows.append(tuple(_STEP[value] for value in rows[-1]))
    return tuple(rows)


_PERMUTATIONS = _permutations()


def verhoeff(number: str) -> bool:
    """Whether the last digit is the Verhoeff check digit of the others."""
    check = 0
    for place, digit in enumerate(reversed(number)):
        check = _D5[check][_PERMUTATIONS[place % 8][int(digit)]]
    return check == 0
