"""Which cores the backends of one machine take."""

from collections.abc import Sequence


def share(cores: Sequence[int], wanted: Sequence[int | None]) -> list[tuple[int, ...]]:
    """A set of cores for each of several processes that compute, disjoint while there are enough.

    `wanted` says how many threads each asks for; None takes an equal part of what the others
    leave, at least one. Two thread pools on one core wait for each other at every barrier, so a
    process gets neighbouring cores of its own; when the cores run out, it starts again at the
    first.
    """
    spoken_for = sum(threads for threads in wanted if threads)
    open_ended = sum(threads is None for threads in wanted)
    left = max(len(cores) - spoken_for, 0)
    sets = []
    at = 0
    for threads in wanted:
        if threads is None:
            threads = max(left // open_ended, 1)
            left, open_ended = max(left - threads, 0), open_ended - 1
        count = min(threads, len(cores))
        sets.append(tuple(sorted(cores[(at + step) % len(cores)] for step in range(count))))
        at += count
    return sets
