"""Names and patterns with one `*`, as match rules have them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Glob:
    """A name, or what begins and ends a name; `exact` tells which of both."""

    head: str
    tail: str
    exact: bool

    @property
    def literals(self) -> int:
        """How many characters are given."""
        return len(self.head) + len(self.tail)

    def matches(self, value: str) -> bool:
        if self.exact:
            return value == self.head
        return (
            len(value) >= self.literals
            and value.startswith(self.head)
            and value.endswith(self.tail)
        )

    def meets(self, other: "Glob") -> bool:
        """Whether some value matches both."""
        if self.exact:
            return other.matches(self.head)
        if other.exact:
            return self.matches(other.head)
        # Between head and tail there is room for whatever the other one has more of them.
        return (self.head.startswith(other.head) or other.head.startswith(self.head)) and (
            self.tail.endswith(other.tail) or other.tail.endswith(self.tail)
        )

    def __str__(self) -> str:
        return self.head if self.exact else f"{self.head}*{self.tail}"


def glob(text: str) -> Glob:
    """`text` as a pattern; it has one `*` at most, which the document's model sees to."""
    head, star, tail = text.partition("*")
    return Glob(head, tail, not star)
