"""Identifiers made by their rules, in sentences that say what they are."""

import random
from collections.abc import Callable, Mapping

from policies.pii.checksums import luhn, verhoeff
from policies.pii.recognisers.australia import is_tfn
from policies.pii.recognisers.iban import LENGTHS, is_iban
from policies.pii.recognisers.uk import is_nhs

Maker = Callable[[random.Random], str]


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


def _fitting(check: Callable[[str], bool], make: Callable[[], str]) -> str:
    return next(value for _ in iter(int, 1) if check(value := make()))


def _card(rng: random.Random) -> str:
    prefix, size = rng.choice((("4", 16), ("52", 16), ("2400", 16), ("37", 15), ("6011", 16)))
    number = _fitting(luhn, lambda: prefix + _digits(rng, size - len(prefix)))
    if size == 16 and rng.random() < 0.5:
        return rng.choice(" -").join(number[at : at + 4] for at in range(0, 16, 4))
    return number


def _iban(rng: random.Random) -> str:
    country = rng.choice(sorted(LENGTHS))
    body = _digits(rng, LENGTHS[country] - 4)
    return next(made for check in range(2, 99) if is_iban(made := f"{country}{check:02d}{body}"))


def _email(rng: random.Random) -> str:
    name = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz.") for _ in range(rng.randrange(3, 12)))
    domain = rng.choice(("example.com", "mail.example.org", "example.co.uk", "example.technology"))
    return f"x{name.replace('.', '-')}x{_digits(rng, 2)}@{domain}"


PEOPLE: Mapping[str, tuple[str, Maker]] = {
    "EMAIL": ("write to {}", _email),
    "CREDIT_CARD": ("charge {} today", _card),
    "IBAN": ("send it to {}", _iban),
    "US_SSN": (
        "my SSN is {}",
        lambda rng: (
            f"{rng.randrange(100, 660)}-{rng.randrange(10, 99)}-{rng.randrange(1000, 9999)}"
        ),
    ),
    "UK_NHS": ("NHS number {}", lambda rng: _fitting(is_nhs, lambda: _digits(rng, 10))),
    "IN_AADHAAR": (
        "Aadhaar: {}",
        lambda rng: _fitting(verhoeff, lambda: str(rng.randrange(2, 10)) + _digits(rng, 11)),
    ),
    "AU_TFN": ("his TFN is {}", lambda rng: _fitting(is_tfn, lambda: _digits(rng, 9))),
    "PHONE": ("call me: {}", lambda rng: f"(415) {rng.randrange(200, 999)}-{_digits(rng, 4)}"),
    "IP_ADDRESS": (
        "client {} connected",
        lambda rng: ".".join(str(rng.randrange(30, 220)) for _ in range(4)),
    ),
    "MAC_ADDRESS": (
        "on {}",
        lambda rng: ":".join(f"{rng.randrange(256):02X}" for _ in range(6)),
    ),
    "US_PASSPORT": ("passport no. {}", lambda rng: rng.choice("ACXYZ") + _digits(rng, 8)),
    "DATE_OF_BIRTH": (
        "born {}",
        lambda rng: f"{rng.randrange(1, 29)}/{rng.randrange(1, 13)}/{rng.randrange(1930, 2010)}",
    ),
}


def person(entity: str, rng: random.Random) -> tuple[str, str]:
    """A sentence, and the value in it."""
    sentence, make = PEOPLE[entity]
    value = make(rng)
    return sentence.format(value), value
