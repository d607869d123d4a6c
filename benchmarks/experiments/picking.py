"""Pickers compared in the fan-out experiment: plain, synchronous, the random source injected."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence

Picker = Callable[[], int]  # the index of an endpoint


def aperture(count: int, size: int, worker: str) -> list[int]:
    """The worker's own deterministic subset, by rendezvous hashing."""
    return sorted(range(count), key=lambda n: hashlib.blake2b(f"{worker}/{n}".encode()).digest())[
        :size
    ]


def two_choices(load: Sequence[int], among: Sequence[int], rng: random.Random) -> Picker:
    """The less loaded of two: even spreading, whatever it does to frames."""

    def pick() -> int:
        if len(among) == 1:
            return among[0]
        a, b = among[int(rng.random() * len(among))], among[int(rng.random() * len(among))]
        return a if load[a] <= load[b] else b

    return pick


def same_turn(
    load: Sequence[int], among: Sequence[int], bound: int, call_soon: Callable[[Callable], object]
) -> Picker:
    """Calls of one turn of the loop go to the endpoint that was least loaded when the turn began."""
    chosen: int | None = None

    def forget() -> None:
        nonlocal chosen
        chosen = None

    def pick() -> int:
        nonlocal chosen
        if chosen is None:
            chosen = min(among, key=load.__getitem__)
            call_soon(forget)
        elif load[chosen] >= bound:
            chosen = min(among, key=load.__getitem__)
        return chosen

    return pick


def packed(load: Sequence[int], among: Sequence[int], bound: int) -> Picker:
    """Fills the first endpoint to `bound` calls in flight before it uses the next; beyond that, the least loaded."""

    def pick() -> int:
        for n in among:
            if load[n] < bound:
                return n
        return min(among, key=load.__getitem__)

    return pick


def sticky(load: Sequence[int], among: Sequence[int], bound: int) -> Picker:
    """Stays with one endpoint until it holds `bound` calls, then moves to the least loaded: turns carry whole
    batches from endpoint to endpoint, so all of them are used in the long run."""
    current = among[0]

    def pick() -> int:
        nonlocal current
        if load[current] >= bound:
            current = min(among, key=load.__getitem__)
        return current

    return pick
