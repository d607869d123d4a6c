"""What must hold of the work that backends did, beside what clients were told. Pure functions."""

from collections import Counter
from collections.abc import Iterable, Sequence

from chaos.history import Execution, History
from chaos.verdict import Verdict


def nothing_began_after(
    deadline: float, history: History, executions: Sequence[Execution], slack: float
) -> Verdict:
    """No execution began later than `deadline` seconds after its request was sent.

    `slack` is the way there and the gap between two looks at a clock.
    """
    sent = {each.number: each.sent for each in history}
    late = [each.at - sent[each.number] - deadline for each in executions if each.number in sent]
    latest = max(late, default=0.0)
    return Verdict(
        bool(executions) and latest <= slack,
        "nothing begins after its deadline",
        f"latest {latest * 1e3:+.0f} ms",
        f"≤ {slack * 1e3:g} ms",
        timed=slack < 1.0,
    )


def nothing_began_for_who_left(
    history: History, executions: Sequence[Execution], within: float
) -> Verdict:
    """No execution began more than `within` seconds after its client had gone away."""
    gone = {each.number: each.done for each in history if each.left}
    late = [each.at - gone[each.number] for each in executions if each.number in gone]
    latest = max(late, default=0.0)
    return Verdict(
        bool(gone) and latest <= within,
        "nothing begins for a client that has gone",
        f"{sum(each > within for each in late)} of {len(gone)}, latest {latest * 1e3:+.0f} ms",
        f"≤ {within * 1e3:g} ms",
        timed=within < 1.0,
    )


def never_repeated(executions: Sequence[Execution], numbers: Iterable[int], what: str) -> Verdict:
    """These requests were executed once at most."""
    wanted = set(numbers)
    counts = Counter(each.number for each in executions if each.number in wanted)
    most = max(counts.values(), default=0)
    return Verdict(bool(wanted) and most <= 1, what, f"{most} × at most, of {len(wanted)}", "≤ 1 ×")


def took_with_it(dead: int, most: int) -> Verdict:
    """So many backends a poisonous request killed."""
    return Verdict(
        0 < dead <= most, "backends that the poison took with it", f"{dead}", f"≤ {most}"
    )
