"""Which of several rules that hold is the most specific.

The written order; what comes first decides, the rest is only looked at where it is equal:

1. an exact model before a pattern, and of patterns the one with more literal characters;
2. an exact tenant before a pattern, that before any (`*`), and of patterns as for models;
3. more claims;
4. more headers;
5. more exact values among those of claims and headers.

Two rules that are equal in all of this and can both hold for a request are refused when they are
loaded (routing/rules/ambiguity.py).
"""

from typing import NamedTuple

from routing.rules.glob import Glob

EXACT, PATTERN, ANY = 2, 1, 0


class Specificity(NamedTuple):
    """Greater is more specific."""

    model: tuple[int, int]  # EXACT, PATTERN or ANY, and literal characters
    tenant: tuple[int, int]
    claims: int
    headers: int
    exact_values: int

    def __str__(self) -> str:
        parts = [_named("model", self.model), _named("tenant", self.tenant)]
        for count, what in ((self.claims, "claim"), (self.headers, "header")):
            if count:
                parts.append(f"{count} {what}{'s' if count > 1 else ''}")
        return ", ".join(parts)


def rank(pattern: Glob) -> tuple[int, int]:
    """A pattern's place among those that a name may match; all exact ones are alike."""
    if pattern.exact:
        return EXACT, 0
    return (PATTERN if pattern.literals else ANY), pattern.literals


def _named(what: str, rank: tuple[int, int]) -> str:
    kind, literals = rank
    if kind == EXACT:
        return f"exact {what}"
    return f"any {what}" if kind == ANY else f"{what} pattern of {literals} characters"
