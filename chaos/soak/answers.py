"""What each kind of request may be answered with, and what that says of a soak."""

from collections import Counter
from collections.abc import Mapping

from chaos.soak.traffic import CUT, LEFT
from chaos.verdict import Verdict

Statuses = Mapping[tuple[str, str], int]  # how many, by kind of request and status

# How one that is well ends; who goes away on purpose ends as LEFT.
GOOD = {
    "unary": ("200",),
    "kept": ("200",),
    "over its limit": ("200", "429"),
    "text": ("200",),
    "stream": ("200",),
    "grpc": ("OK",),
    "rubbish": ("400",),
    "broken": ("400", "401", "408", "closed"),
    "stranger": ("400", "401", "403", "404"),
}
LEAVES = ("unary", "stream", "grpc")
# A machine that stands still for a moment is no leak: so few may be refused, and told when to ask.
REFUSED, SPARE = ("429", "503", "UNAVAILABLE", "RESOURCE_EXHAUSTED"), 0.001


def answers(statuses: Statuses, kills: int) -> list[Verdict]:
    """Each kind got what it may get; `kills` backends had no time to finish their streams."""
    return [_of_kind(kind, statuses, kills) for kind in GOOD]


def _of_kind(kind: str, statuses: Statuses, kills: int) -> Verdict:
    ends = Counter({status: n for (of, status), n in statuses.items() if of == kind})
    if kind in LEAVES:
        del ends[LEFT]
    asked = ends.total()
    good = sum(ends.pop(status, 0) for status in GOOD[kind])
    refused = sum(ends.pop(status, 0) for status in REFUSED)
    cut = ends.pop(CUT, 0) if kind == "stream" else 0
    told = ", ".join(f"{n:,} × {status}" for status, n in ends.most_common(4))
    others = f"{refused} refused{f', {cut} cut' if kind == 'stream' else ''}"
    return Verdict(
        good > 0 and not ends and refused <= SPARE * asked and cut <= kills,
        f"{kind}: {' or '.join(GOOD[kind])}",
        f"{good:,} of {asked:,}, {others}{f', {told}' if told else ''}",
        f"all; ≤ {SPARE:.1%} refused{', a cut one a kill -9' if kind == 'stream' else ''}",
    )
