"""JSON Pointers (RFC 6901): to what a comparison of documents leaves out, and to where they differ.

`*` as a whole token stands for any index of an array; that is our own addition. In an object it is
the member of that name.
"""

from functools import lru_cache

# What is left of each pointer to something below the present place.
Below = tuple[tuple[str, ...], ...]
# The way to the present place: the way above it, and a member's name or an index.
Way = tuple["Way", str] | None

# What is left of a pointer that ends at every element of the present array.
ANY_INDEX = ("*",)

LONGEST = 200  # characters of a pointer that a sentence repeats


@lru_cache(1024)
def tokens(pointer: str) -> tuple[str, ...]:
    """Its tokens, unescaped. The route document holds only pointers that begin with a slash."""
    return tuple([token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]])


def step(below: Below, token: str, is_index: bool) -> Below | None:
    """What is left of the pointers one step on; None if one of them ends there."""
    left = []
    for pointer in below:
        if pointer[0] == token or (is_index and pointer[0] == "*"):
            if len(pointer) == 1:
                return None
            left.append(pointer[1:])
    return tuple(left)


def pointer_to(way: Way) -> str:
    """As RFC 6901 writes it, cut where it is very long, without control characters."""
    names = []
    while way is not None:
        way, name = way
        names.append("/" + name.replace("~", "~0").replace("/", "~1"))
    pointer = "".join(reversed(names))
    if len(pointer) > LONGEST:
        pointer = pointer[: LONGEST - 1] + "…"
    return "".join([c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in pointer])
