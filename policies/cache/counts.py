"""What the cache counts. Labels are bounded: routes by their documents, the rest by the code."""

from collections import Counter
from typing import Literal

# Why an answer is neither looked for nor kept.
Bypass = Literal["no-store", "sequence", "sampled", "revision", "idempotence", "size"]
# Why an answer that was executed isn't kept.
Unkept = Literal["size", "incomplete", "revision", "form"]


class CacheCounts:
    """By route and what follows; where a route's mode is `observe`, what would have been."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, ...]] = Counter()  # route, mode, outcome
        self.bypassed: Counter[tuple[str, ...]] = Counter()  # route, Bypass
        self.unkept: Counter[tuple[str, ...]] = Counter()  # route, Unkept
        self.kept: Counter[str] = Counter()
        self.verified: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<CacheCounts {dict(self.requests)}>"
