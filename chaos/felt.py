"""Whether a fault was there at all: what holds without it shows nothing. Pure functions."""

from collections import Counter
from collections.abc import Collection, Sequence

from chaos.history import Execution
from chaos.verdict import Verdict


def felt(what: str, count: float, least: float = 1, unit: str = "") -> Verdict:
    """What the fault leaves behind came to as much as that."""
    told = f"{count:.3g}" if count % 1 else f"{count:.0f}"
    return Verdict(count >= least, f"felt: {what}", f"{told}{unit}", f"≥ {least:g}{unit}")


def repeated(executions: Sequence[Execution], least: int = 1) -> Verdict:
    """So many requests were lost where they were executed, and executed again."""
    counts = Counter(each.number for each in executions)
    return felt("requests were repeated", sum(count > 1 for count in counts.values()), least)


def killed(statuses: Collection[int | None]) -> Verdict:
    """Each of these processes ended by SIGKILL; None are those that run."""
    ended = sum(status == -9 for status in statuses)
    told = f"{ended} of {len(statuses)}"
    return Verdict(ended == len(statuses) > 0, "felt: killed by SIGKILL", told, "all")
