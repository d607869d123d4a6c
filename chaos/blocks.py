"""What a fault does to latency: healthy and faulty blocks that take turns within one run.

A machine's own moods last longer than a block, so that neighbours share them, and the median over
pairs of neighbours forgets those that don't. How far healthy blocks differ among themselves (A/A)
says what a difference is worth.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Self

from chaos.experiment import Bench
from chaos.history import History
from chaos.invariants import none_failed
from chaos.load import Load
from chaos.site import Site
from chaos.verdict import Step, Verdict

PAIRS = 12


Span = tuple[float, float]  # from and until, in seconds since the experiment began


@dataclass(frozen=True, slots=True)
class Blocks:
    """Histories of healthy blocks, and of the faulty one after each of them."""

    healthy: list[History]
    faulty: list[History]

    @classmethod
    def of(cls, history: History, spans: Sequence[Span]) -> Self:
        """What was planned in the spans, which take turns."""
        blocks = [history.between(*span) for span in spans]
        return cls(blocks[::2], blocks[1::2])

    def ratio(self, share: float = 0.99) -> float:
        """The quantile of a faulty block over that of the healthy one before: the median."""
        return _median_ratio(zip(self.healthy, self.faulty, strict=True), share)

    def noise(self, share: float = 0.99) -> float:
        """The same of healthy blocks and the healthy ones before (A/A)."""
        return _median_ratio(pairwise(self.healthy), share)

    def pooled(self, share: float = 0.99) -> tuple[float, float]:
        """The quantiles over all healthy and over all faulty blocks, in seconds."""
        healthy, faulty = (
            History([each for block in blocks for each in block])
            for blocks in (self.healthy, self.faulty)
        )
        return healthy.quantile(share), faulty.quantile(share)


async def alternate(
    bench: Bench,
    what: str,
    fault: Callable[[], AbstractAsyncContextManager[object]],
    *,
    seconds: float = 1.2,
    settle: float = 0.1,
) -> list[Span]:
    """Lets things go on healthy and with the fault by turns, beginning healthy; the blocks' spans.

    They leave out `settle` seconds on both sides of a change.
    """
    spans = []
    for _ in range(3 if bench.short else PAIRS):
        for faulty in (False, True):
            begun = bench.now()
            async with fault() if faulty else nullcontext():
                await bench.wait(seconds, short=seconds / 2)
                ended = bench.now()
            spans.append((begun + settle, ended - settle))
            if faulty:
                bench.steps.append(Step(what, begun, ended))
    return spans


async def beside(
    bench: Bench,
    site: Site,
    what: str,
    fault: Callable[[], AbstractAsyncContextManager[object]],
    *,
    rate: float = 100.0,
    limit: float = 1.05,
) -> Load:
    """Requests go on while something beside their way breaks and heals, and don't show it."""
    async with bench.load(site, site.caller(rate)) as load:
        await bench.wait(2.0, short=0.5)
        spans = await alternate(bench, what, fault)
    blocks = Blocks.of(load.history, spans)
    bench.hold(none_failed(load.history), slower_at_most(blocks, limit))
    for share in (0.5, 0.99):
        told = f"{blocks.ratio(share):.3f} × (A/A {blocks.noise(share):.3f})"
        bench.figure(f"p{share * 100:g} beside it", told)
    return load


def slower_at_most(blocks: Blocks, limit: float, share: float = 0.99) -> Verdict:
    """Faulty blocks are slower by at most `limit`, beyond what healthy ones differ by anyway."""
    ratio, noise = blocks.ratio(share), blocks.noise(share)
    return Verdict(
        ratio <= limit * max(1.0, noise),
        f"p{share * 100:g} beside it",
        f"{ratio:.3f} × (A/A {noise:.3f})",
        f"≤ {limit:g} ×",
        timed=True,
    )


def _median_ratio(pairs: Iterable[tuple[History, History]], share: float) -> float:
    """NaN where no pair has requests."""
    ratios = [b.quantile(share) / a.quantile(share) for a, b in pairs if len(a) and len(b)]
    return median(ratios) if ratios else float("nan")
