"""Whether a process grew: what it held at the end beside what it held when it was warm.

The first third of a soak is the warm-up. Medians of a tenth of the time stand for both ends, so
that neither a collection of garbage nor a burst of connections decides. What nobody told is not
flat: a metric that got another name, or a process that wasn't found, proves nothing.
"""

from collections.abc import Sequence
from statistics import median

from chaos.soak.samples import Sample, series
from chaos.verdict import Verdict

WARM_UP, SPAN = 1 / 3, 1 / 10
SEEN = 0.99  # of the looks, in which a process must be found
GROWTH = 1.05
LOOSE = 4  # tasks and descriptors that come and go with clients
_MIB = 1024 * 1024


def flat(samples: Sequence[Sample], process: str, *, loops: bool = True) -> list[Verdict]:
    """Memory at most 5 % above what it was when warm; descriptors and threads as many.

    Tasks as well, of a process that tells of its event loop (`loops`).
    """
    fields = [("uss", "memory", 0), ("descriptors", "descriptors", LOOSE)]
    fields += [("threads", "threads", LOOSE), *([("tasks", "tasks", LOOSE)] if loops else [])]
    return [
        _one_from_beginning_to_end(samples, process),
        *(_grew(samples, process, *field) for field in fields),
    ]


def _one_from_beginning_to_end(samples: Sequence[Sample], process: str) -> Verdict:
    """One that crashed and came back has fresh memory under its old name."""
    seen = [each.processes[process].pid for each in samples if process in each.processes]
    return Verdict(
        len(set(seen)) == 1 and len(seen) >= SEEN * len(samples),
        f"{process}: one process from beginning to end",
        f"{len(set(seen))} in {len(seen)} of {len(samples)} looks",
        f"1 in {SEEN:.0%}",
    )


def _grew(samples: Sequence[Sample], process: str, what: str, name: str, extra: int) -> Verdict:
    title, wanted = f"{process}: {name}", f"≤ {GROWTH:g} ×{f' + {extra}' if extra else ''}"
    ends = warm_and_last(samples, process, what)
    if ends is None:
        return Verdict(False, title, "nobody told", wanted)
    was, became = ends
    told = (
        f"{became / _MIB:.1f} MiB after {was / _MIB:.1f} MiB"
        if what == "uss"
        else f"{became:g} after {was:g}"
    )
    holds = became <= was * GROWTH + extra
    return Verdict(holds, title, f"{told}: {became / was:.3f} ×", wanted)


def warm_and_last(samples: Sequence[Sample], process: str, what: str) -> tuple[float, float] | None:
    """Medians of the tenth after the warm-up and of the last tenth; None without values in both."""
    found = series(samples, process, what)
    if not found:
        return None
    begin, end = samples[0].at, samples[-1].at
    whole = end - begin
    warm_from = begin + whole * WARM_UP
    warm = [value for at, value in found if warm_from <= at <= warm_from + whole * SPAN]
    last = [value for at, value in found if at >= end - whole * SPAN]
    return (median(warm), median(last)) if warm and last and median(warm) > 0 else None
