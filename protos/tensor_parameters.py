"""What clients may say of one tensor in its `parameters`, whatever the face; the rest is refused.

A request's own parameters go on to the model. Those of a tensor address the server, so one that is
not understood would be lost in silence.
"""

from protos.errors import Kind, PenstockError, invalid
from protos.wording import did_you_mean, quote

# MLServer's clients name their own codec there; datatype and shape say the same.
HINTS = frozenset(("content_type",))

_NOT_OFFERED = {
    "shared_memory_region": "shared memory",
    "shared_memory_byte_size": "shared memory",
    "shared_memory_offset": "shared memory",
    "classification": "classification",
}


def refusal(key: str, where: str, known: tuple[str, ...] = ()) -> PenstockError:
    """The error for a tensor's parameter that is none of the `known` ones."""
    what = _NOT_OFFERED.get(key)
    if what is not None:
        return PenstockError(Kind.UNIMPLEMENTED, f"{where}: {what} is not offered")
    return invalid(f"{where}: there is no parameter {quote(key)}{did_you_mean(key, known)}")
