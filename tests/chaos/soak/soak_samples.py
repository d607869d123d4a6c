"""Samples of a soak whose processes are as tests want them."""

import math
from collections import Counter
from collections.abc import Callable

from chaos.soak.answers import GOOD
from chaos.soak.run import BACKEND, STEADY
from chaos.soak.samples import QUEUES, Holding, Sample

MIB = 1024 * 1024


def samples(
    uss: Callable[[int], float] = lambda at: 100 * MIB,
    tasks: Callable[[int], float] = lambda at: 20,
    pid: Callable[[int], int] = lambda at: 7,
    count: int = 300,
) -> list[Sample]:
    """One a second, all processes alike."""
    return [
        Sample(
            float(at),
            {
                name: Holding(
                    2 * uss(at),
                    uss(at),
                    10,
                    30,
                    math.nan if name == BACKEND else tasks(at),
                    0.001,
                    pid(at),
                )
                for name in STEADY
            },
            dict.fromkeys(QUEUES, 0.0),
        )
        for at in range(count)
    ]


def well() -> Counter[tuple[str, str]]:
    """Every kind of request was answered as it should be."""
    return Counter({(kind, status): 1000 for kind, good in GOOD.items() for status in good})
