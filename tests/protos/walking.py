"""What walks through payloads give out, and payloads that are made with something else."""

from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

from protos.found_text import Text, Walk
from protos.text import rewriting
from protos.values import Payload

Asked = TypeVar("Asked")
T = TypeVar("T")


def walked(walk: Generator[Asked, str | None, T], write: Callable[[Asked], str | None]) -> T:
    """The result, where `write` says what is written for each text."""
    written = None
    while True:
        try:
            asked = walk.send(written)
        except StopIteration as end:
            made: T = end.value
            return made
        written = write(asked)


def with_texts(payload: Payload, texts: Sequence[str | None], *, reply: bool = False) -> Payload:
    """The payload with these in place of its texts, of which there have to be as many."""
    given = iter(texts)
    made = walked(
        rewriting(payload, reply=reply), lambda asked: None if asked is None else next(given)
    )
    assert next(given, "no more") == "no more"
    return made


def changed(walk: Walk[T], write: Callable[[Text], str | None]) -> T:
    return walked(walk, lambda asked: None if asked is None else write(asked))
