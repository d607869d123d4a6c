"""What a step takes, learned from the steps before it.

A step's seconds are so many for the step itself (the weights are read once, however many tokens
there are), so many for each token, and so many for each pair of a token and one that it attends to.
The three are fitted to the newest steps, none below zero, older ones counting less and less.
"""

from dataclasses import dataclass
from math import inf, sqrt

FORGET = 0.98  # what a step counts after the next one
# The pull towards what was fitted before: what the newest steps say nothing of stays as it was.
INERTIA = 1e-3
ROUNDS = 3  # of coordinate descent; the next step begins where this one ended
# A step that took so many times what was predicted says more of the machine than of the step.
STRANGE = 4.0
SOON = 8  # steps after which strange ones are told from others
MOST = 1 << 31  # tokens, where nothing is known
WHOLE = (1.0, 1e2, 1e6)  # the three parts' sizes in a usual step, so that they weigh alike


@dataclass(frozen=True, slots=True)
class Size:
    """How much a step has to do: tokens, and pairs of a token and one that it attends to."""

    tokens: int = 0
    pairs: float = 0.0

    def __add__(self, other: "Size") -> "Size":
        return Size(self.tokens + other.tokens, self.pairs + other.pairs)

    def __sub__(self, other: "Size") -> "Size":
        return Size(self.tokens - other.tokens, self.pairs - other.pairs)


def size_of(start: int, count: int) -> Size:
    """Of `count` tokens that follow `start` others in their sequence."""
    return Size(count, count * (start + count / 2))


class Cost:
    """Predicts 0 seconds until it has seen a step."""

    def __init__(self) -> None:
        self._parts = [0.0, 0.0, 0.0]
        self._products = [[0.0] * 3 for _ in range(3)]
        self._targets = [0.0, 0.0, 0.0]
        self._steps = 0

    def __repr__(self) -> str:
        step, token, pair = (part / whole for part, whole in zip(self._parts, WHOLE, strict=True))
        return (
            f"<Cost {step * 1e3:.2f} ms, {token * 1e6:.0f} µs a token, {pair * 1e9:.1f} ns a pair>"
        )

    def seconds(self, size: Size) -> float:
        """What a step of this size will take."""
        return sum(part * each for part, each in zip(self._parts, _scaled(size), strict=True))

    def tokens(self, beside: Size, start: int, seconds: float) -> int:
        """The most tokens of a sequence with `start` others that fit into `seconds`, beside others.

        The root of the parabola that a sequence's cost is.
        """
        left = seconds - self.seconds(beside)
        if left <= 0.0:
            return 0
        pair = self._parts[2] / WHOLE[2]
        linear = self._parts[1] / WHOLE[1] + pair * start
        if left == inf:
            return MOST
        below = linear + sqrt(linear * linear + 2 * pair * left)
        return int(min(2 * left / below, MOST)) if below > 0.0 else MOST

    def learn(self, size: Size, seconds: float) -> None:
        """A step of this size has taken so long.

        Errors count by their share of the step, so that short steps say as much as long ones.
        """
        predicted = self.seconds(size)
        if self._steps >= SOON:
            seconds = min(seconds, STRANGE * predicted)
        if seconds <= 0.0:
            return
        self._steps += 1
        row = [each / seconds for each in _scaled(size)]
        for at, each in enumerate(row):
            for other, value in enumerate(row):
                self._products[at][other] = FORGET * self._products[at][other] + each * value
            self._targets[at] = FORGET * self._targets[at] + each
        before = list(self._parts)
        for _ in range(ROUNDS):
            for at, products in enumerate(self._products):
                own = products[at]
                others = sum(
                    product * part
                    for other, (product, part) in enumerate(zip(products, self._parts, strict=True))
                    if other != at
                )
                pull = INERTIA * own
                if own > 0.0:
                    found = self._targets[at] - others + pull * before[at]
                    self._parts[at] = max(0.0, found / (own + pull))


def _scaled(size: Size) -> tuple[float, float, float]:
    return WHOLE[0], size.tokens / WHOLE[1], size.pairs / WHOLE[2]
