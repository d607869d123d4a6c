"""What a decoder may say of bytes that it doesn't take."""

from collections.abc import Iterator
from contextlib import contextmanager

from protos.errors import Kind, PenstockError

MOST = 4096  # characters of a sentence, so that no refusal repeats the input


@contextmanager
def refusing(*kinds: Kind) -> Iterator[None]:
    """A typed error with a sentence is an answer; of `kinds`, unless it is the client's fault."""
    try:
        yield
    except PenstockError as error:
        if error.row.fault != "client" and error.kind not in kinds:
            raise
        check_sentence(error.message)


def check_sentence(text: str) -> None:
    assert 0 < len(text) <= MOST, f"a sentence of {len(text)} characters"
    assert text.encode()  # raises for half of a surrogate pair, which no answer could carry
