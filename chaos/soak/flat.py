"""Whether a process grew: what it held at the end beside what it held when it was warm.

The first third of a soak is the warm-up. Medians of a tenth of the time stand for both ends, so
that neither a collection of garbage nor a burst of connections decides.
"""

from collections.abc import Sequence
from statistics import median

from chaos.soak.samples import Sample, series
from chaos.verdict import Verdict

WARM_UP, SPAN = 1 / 3, 1 / 10
GROWTH = 1.05
LOOSE = 4  # tasks and descriptors that come and go with clients
_MIB = 1024 * 1024


def flat(samples: Sequence[Sample], process: str) -> list[Verdict]:
    """Memory at most 5 % above what it was when warm; tasks, descriptors and threads as many."""
    verdicts = []
    for what, name, extra in (
        ("uss", "memory", 0),
        ("tasks", "tasks", LOOSE),
        ("descriptors", "descriptors", LOOSE),
        ("threads", "threads", LOOSE),
    ):
        ends = warm_and_last(samples, process, what)
        if ends is None:
            continue
        was, became = ends
        unit = f"{became / _MIB:.1f} MiB after {was / _MIB:.1f} MiB"
        told = unit if what == "uss" else f"{became:g} after {was:g}"
        verdicts.append(
            Verdict(
                became <= was * GROWTH + extra,
                f"{process}: {name}",
                f"{told}: {became / was:.3f} ×",
                f"≤ {GROWTH:g} ×{f' + {extra}' if extra else ''}",
                timed=True,
            )
        )
    return verdicts


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
