"""What must hold of a history, whatever was broken while it was made. Pure functions.

Nothing is held of nobody: a history that is empty breaks each of them.
"""

from collections import Counter
from collections.abc import Sequence

from chaos.history import Execution, History
from chaos.verdict import Verdict


def none_failed(history: History, what: str = "no request failed") -> Verdict:
    """Every request was answered, completely, by its own reply."""
    answered = len(history.of("answered"))
    asked = len(history) - len(history.of("left"))
    bad = asked - answered
    return Verdict(asked > 0 and not bad, what, f"{bad} of {asked} {_told(history)}".strip(), "0")


def no_server_error(history: History, *, but: Sequence[int] = ()) -> Verdict:
    """No reply of 5xx (other than `but`), none cut, and no connection lost without one."""
    bad = [
        each
        for each in history
        if not each.left
        and each.status not in but
        and (each.status >= 500 or not each.status or (each.status == 200 and not each.whole))
    ]
    what = "no 5xx, no cut reply, no lost connection"
    return Verdict(bool(len(history)) and not bad, what, f"{len(bad)} of {len(history)}", "0")


def replies_are_whole(history: History) -> Verdict:
    """What began as 200 was complete, and was the reply to that request and no other."""
    begun = [each for each in history if each.status == 200 and not each.left]
    cut = [each for each in begun if not each.whole]
    told = f"{len(cut)} of {len(begun)}"
    return Verdict(bool(len(history)) and not cut, "no reply was cut or another's", told, "0")


def refusals_say_when(history: History) -> Verdict:
    """429 and 503 carry Retry-After (RFC 9110, 10.2.3)."""
    refused = [each for each in history if each.status in (429, 503)]
    silent = [each for each in refused if not each.retry_after]
    told = f"{len(silent)} of {len(refused)}"
    return Verdict(bool(len(history)) and not silent, "refusals say when to ask again", told, "0")


def everybody_was_answered_by(
    history: History,
    deadline: float,
    slack: float = 0.5,
    what: str = "an answer within the deadline",
) -> Verdict:
    """Nobody waited for longer than the deadline, whatever the answer was."""
    slowest = max((each.done - each.sent for each in history), default=float("nan"))
    return Verdict(
        slowest <= deadline + slack,
        what,
        f"slowest {slowest:.2f} s",
        f"≤ {deadline:g} s",
        timed=True,
    )


def attempts_bounded(
    history: History,
    executions: Sequence[Execution],
    *,
    ratio: float = 1.2,
    extra: int = 3,
    what: str = "retries stay within their budget",
) -> Verdict:
    """Executions of all requests: at most ratio × requests + extra."""
    allowed = ratio * len(history) + extra
    return Verdict(
        bool(len(history)) and 0 < len(executions) <= allowed,
        what,
        f"{len(executions)} attempts at {len(history)} requests",
        f"≤ {ratio:g} × + {extra}",
    )


def no_request_executed_over(executions: Sequence[Execution], most: int = 3) -> Verdict:
    counts = Counter(each.number for each in executions)
    highest = max(counts.values(), default=0)
    return Verdict(0 < highest <= most, "attempts at one request", f"{highest}", f"≤ {most}")


def within(seconds: Sequence[float], promised: float, what: str) -> Verdict:
    """All of these times, of which there is one at least."""
    slowest = max(seconds, default=float("nan"))
    return Verdict(
        slowest <= promised, what, f"at most {slowest:.2f} s", f"≤ {promised:g} s", timed=True
    )


def lost_only_in_flight(history: History, at: float, *, slack: float = 0.0) -> Verdict:
    """Who wasn't answered had asked before that moment and still waited then.

    Whoever keeps connections may use one in the `slack` seconds after it whose end isn't seen yet.
    """
    bad = history.of("failed", "cut", "lost", "refused")
    other = [each for each in bad if not (each.sent <= at + slack and each.done >= at)]
    what = "only what was in flight was lost"
    told = f"{len(bad)} lost, {len(other)} of them otherwise"
    return Verdict(bool(len(history)) and not other, what, told, "0")


def nobody_evicted(evictions: float) -> Verdict:
    """By the gateways' own count: every instance kept its lease."""
    return Verdict(evictions == 0, "nobody lost the lease", f"{evictions:g} evicted", "0")


def nobody_ended(crashed: Sequence[str]) -> Verdict:
    """No process ended but those that were told to, or may; retries hide whoever did."""
    told = ", ".join(crashed) or "0"
    return Verdict(not crashed, "nobody ended who wasn't told to", told, "0")


def latency_back(
    before: History, after: History, *, ratio: float, share: float = 0.99, floor: float = 0.005
) -> Verdict:
    """The quantile is again what it was; differences below `floor` seconds are no difference."""
    was, became = before.quantile(share), after.quantile(share)
    holds = became <= max(was * ratio, was + floor)
    return Verdict(
        holds,
        f"p{share * 100:g} is back",
        f"{became * 1e3:.1f} ms after {was * 1e3:.1f} ms: {became / was:.2f} ×",
        f"≤ {ratio:g} ×",
        timed=True,
    )


def _told(history: History) -> str:
    """The bad outcomes with their statuses."""
    bad = Counter(
        f"{each.outcome} {each.status or each.error}"
        for each in history
        if each.outcome not in ("answered", "left")
    )
    return f"({', '.join(f'{n} × {what}' for what, n in bad.most_common(4))})" if bad else ""
