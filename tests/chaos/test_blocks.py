"""Blocks that take turns: who belongs to which, ratios of neighbours, and the noise beside them."""

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chaos.blocks import PAIRS, Blocks, alternate, slower_at_most
from chaos.experiment import Bench
from chaos.history import History, Request


def request(planned: float, seconds: float) -> Request:
    return Request(1, planned, planned, planned + seconds, 200, whole=True)


def blocks(healthy: Sequence[float], faulty: Sequence[float]) -> Blocks:
    """Each a block of one request that took so many seconds."""
    return Blocks(*([History([request(0.0, each)]) for each in some] for some in (healthy, faulty)))


def test_what_was_planned_in_a_span_is_of_its_block_and_the_rest_of_none() -> None:
    history = History([request(at, 0.01) for at in (0.0, 0.5, 1.0, 1.5, 2.0, 2.5)])
    found = Blocks.of(history, [(0.0, 0.9), (1.1, 1.9), (2.1, 2.9), (3.1, 3.9)])
    planned = [
        [[r.planned for r in each] for each in some] for some in (found.healthy, found.faulty)
    ]
    assert planned == [[[0.0, 0.5], [2.5]], [[1.5], []]]


def test_the_ratio_is_the_median_over_neighbours_so_that_one_bad_moment_decides_nothing() -> None:
    found = blocks([0.010, 0.020, 0.040, 0.010], [0.011, 0.022, 0.044, 9.0])
    assert found.ratio() == pytest.approx(1.1)


def test_noise_is_how_healthy_blocks_differ_from_the_healthy_ones_before() -> None:
    assert blocks([0.010, 0.012, 0.0144], [0.01] * 3).noise() == pytest.approx(1.2)


def test_of_nothing_there_is_no_ratio() -> None:
    assert math.isnan(Blocks([History()], [History()]).ratio())


def test_pooled_quantiles_are_over_all_blocks_of_a_kind() -> None:
    assert blocks([0.010, 0.030], [0.020, 0.050]).pooled(1.0) == pytest.approx((0.030, 0.050))


@pytest.mark.parametrize(
    ("healthy", "faulty", "holds"),
    [
        ([0.010] * 4, [0.0104] * 4, True),
        ([0.010] * 4, [0.0120] * 4, False),
        # A machine on which healthy blocks differ as much shows nothing.
        ([0.010, 0.0125, 0.0156, 0.0195], [0.012, 0.015, 0.0187, 0.0234], True),
        ([], [], False),
    ],
)
def test_slower_is_told_from_noise(
    healthy: Sequence[float], faulty: Sequence[float], holds: bool
) -> None:
    verdict = slower_at_most(blocks(healthy, faulty), 1.05)
    assert (verdict.holds, verdict.timed) == (holds, True)


@pytest.mark.parametrize("short", [False, True])
async def test_faults_take_turns_with_health_and_are_noted(tmp_path: Path, short: bool) -> None:
    bench = Bench(tmp_path, short=short)
    active, seen = [False], []

    @asynccontextmanager
    async def fault() -> AsyncIterator[None]:
        active[0] = True
        seen.append(bench.now())
        yield
        active[0] = False

    spans = await alternate(bench, "broken", fault, seconds=0.004, settle=0.0)

    pairs = 3 if short else PAIRS
    assert (len(spans), len(seen), active) == (2 * pairs, pairs, [False])
    assert spans == sorted(spans)
    # Every second one begins with the fault and ends before it is over.
    assert all(begun <= at <= ended for at, (begun, ended) in zip(seen, spans[1::2], strict=True))
    assert [step.what for step in bench.steps] == ["broken"] * pairs
