"""Bounds on what clients may call things, the same in every decoder.

Names are remembered (encoded heads, labels, records), so their length and number must be bounded
before anything else looks at them.
"""

from collections.abc import Sequence

from protos.errors import invalid
from protos.wording import quote

MAX_CHARACTERS = 256
MAX_TENSORS = 1024  # inputs, or outputs asked for, of one request


def check_name(name: object, where: str) -> str:
    """The name, if it is one; raises INVALID naming the place."""
    if type(name) is not str or not name:
        raise invalid(f"{where}: name must be a string that is not empty")
    if len(name) > MAX_CHARACTERS:
        raise invalid(f"{where}: name is longer than {MAX_CHARACTERS} characters")
    return name


def check_text(text: object, where: str) -> str:
    """An id, or a model's name or version, which may be empty; raises INVALID naming the field."""
    if type(text) is not str:
        raise invalid(f"{where}: must be a string")
    if len(text) > MAX_CHARACTERS:
        raise invalid(f"{where}: is longer than {MAX_CHARACTERS} characters")
    return text


def check_count(number: int, where: str) -> None:
    if number > MAX_TENSORS:
        raise invalid(f"{where}: there are {number}, at most {MAX_TENSORS} are taken")


def check_unique(names: Sequence[str], where: str) -> None:
    """Raises INVALID for a name that is there twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise invalid(f"{where}: {quote(name)} is there twice")
        seen.add(name)
