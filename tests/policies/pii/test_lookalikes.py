import random

import pytest

from policies.pii.lookalikes import labelled, part_of_token
from tests.policies.pii.finding import found
from tests.policies.pii.impostors import MAKERS, impostor


@pytest.mark.parametrize("kind", MAKERS)
def test_fewer_than_one_impostor_in_a_hundred_is_taken(kind: str) -> None:
    rng = random.Random(kind)
    taken = [text for _ in range(300) if found(text := impostor(kind, rng))]
    assert len(taken) <= 3, taken


@pytest.mark.parametrize(
    "before",
    [
        "order ",
        "Order #",
        "invoice no. ",
        "ISBN: ",
        "ticket number is ",
        '"order_id": "',
        "build: ",
    ],
)
def test_labels_are_read_with_what_joins_them_to_a_number(before: str) -> None:
    assert labelled(f"and the {before}".encode())


@pytest.mark.parametrize("before", ["", "the model ", "in that order, ", "card number ", "id "])
def test_prose_is_no_label(before: str) -> None:
    assert not labelled(before.encode())


def test_tokens_are_seen_whole() -> None:
    assert part_of_token(b"id 550e8400-e29b-41d4-a716-", b"446655440000", b" x")
    assert part_of_token(b"at 2024-01-15T", b"12345678", b"")
    assert not part_of_token(b"mail ", b"12345678", b".")
