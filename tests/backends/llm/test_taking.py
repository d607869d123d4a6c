"""Whom a prompt is read for."""

from types import SimpleNamespace
from typing import Any

import pytest

from backends.llm.taking import Taking
from protos.errors import Kind, PenstockError
from protos.values import Prompt


def taking(**changes: Any) -> Taking:
    """One that asks an adapter which is in memory, until the clock shows 5.0."""
    usual: dict[str, Any] = {
        "call": None,
        "answer": None,
        "entry": SimpleNamespace(adapter="a"),
        "loaded": SimpleNamespace(adapters=SimpleNamespace(here=["a"]), tokeniser=tokens),
        "engine": SimpleNamespace(longest=8),
        "thread": None,
        "payload": Prompt({"prompt": "ab"}, 10),
        "wishes": None,
        "deadline": 5.0,
    }
    return Taking(**usual | changes)


def tokens(text: str) -> dict[str, list[int]]:
    return {"input_ids": [ord(letter) for letter in text]}


def test_nothing_is_read_for_who_is_too_late() -> None:
    assert taking().read(4.9) == [[97, 98]]
    with pytest.raises(PenstockError, match="deadline") as no:
        taking().read(5.0)
    assert no.value.kind is Kind.DEADLINE


def test_an_adapter_is_lacking_until_it_is_in_memory() -> None:
    assert not taking().lacks_adapter
    assert not taking(entry=SimpleNamespace(adapter="")).lacks_adapter
    assert taking(entry=SimpleNamespace(adapter="b")).lacks_adapter
