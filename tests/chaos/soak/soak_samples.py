"""Samples of a soak whose processes are as tests want them."""

from collections.abc import Callable

from chaos.soak.run import STEADY
from chaos.soak.samples import QUEUES, Holding, Sample

MIB = 1024 * 1024


def samples(
    uss: Callable[[int], float] = lambda at: 100 * MIB,
    tasks: Callable[[int], float] = lambda at: 20,
    count: int = 300,
) -> list[Sample]:
    """One a second, all processes alike."""
    return [
        Sample(
            float(at),
            {name: Holding(2 * uss(at), uss(at), 10, 30, tasks(at), 0.001) for name in STEADY},
            dict.fromkeys(QUEUES, 0.0),
        )
        for at in range(count)
    ]
