"""How often each text occurred, in memory that doesn't grow with them."""

from dataclasses import dataclass, field

OTHER = "other"


@dataclass(slots=True)
class Tally:
    """How often each text occurred; at most `kept` of them, all further ones as `other`."""

    kept: int = 256
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, text: str) -> None:
        if text not in self.counts and len(self.counts) >= self.kept:
            text = OTHER
        self.counts[text] = self.counts.get(text, 0) + 1

    def most(self, n: int) -> tuple[tuple[str, int], ...]:
        """The most frequent ones, and what is left of the total as `other`."""
        ordered = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        shown = [item for item in ordered if item[0] != OTHER][:n]
        rest = sum(self.counts.values()) - sum(count for _, count in shown)
        return (*shown, (OTHER, rest)) if rest else tuple(shown)
