"""What is found of what people write, and what is taken for it of what machines write."""

import random

import pytest

from tests.policies.pii.disguises import DISGUISES
from tests.policies.pii.finding import found, redactor
from tests.policies.pii.identifiers import IDENTIFIERS
from tests.policies.pii.machines import LINES
from tests.policies.pii.sentences import around, person

# What disguises leave readable; a password, say, is another one with other letters.
DISGUISED = (
    *("EMAIL", "CREDIT_CARD", "IBAN", "PHONE", "US_SSN", "IP_ADDRESS", "UK_NHS", "ES_NIF"),
    *("IN_AADHAAR", "IT_FISCAL_CODE", "SG_NRIC", "US_PASSPORT", "DATE_OF_BIRTH"),
)


def is_found(text: str, value: str) -> bool:
    """Whether a finding covers the value."""
    at = text.rindex(value)
    spans = redactor().detector.find(text)
    return any(span.start <= at and at + len(value) <= span.end for span in spans)


@pytest.mark.parametrize("entity", IDENTIFIERS)
def test_people_are_found(entity: str) -> None:
    rng = random.Random(entity)
    people = [person(entity, rng) for _ in range(60)]
    assert [text for text, value in people if not is_found(text, value)] == []


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("entity", DISGUISED)
def test_disguised_ones_as_well(entity: str, disguise: str) -> None:
    rng = random.Random(entity + disguise)
    values = [DISGUISES[disguise](IDENTIFIERS[entity](rng), rng) for _ in range(8)]
    texts = [(around(entity, value, rng), value) for value in values]
    assert [text for text, value in texts if not is_found(text, value)] == []


@pytest.mark.parametrize("kind", LINES)
def test_fewer_than_one_line_of_machines_in_a_hundred_has_a_finding(kind: str) -> None:
    rng = random.Random(kind)
    taken = [text for _ in range(200) if found(text := LINES[kind](rng))]
    assert len(taken) <= 2, taken
