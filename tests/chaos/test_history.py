"""What a recorded request says, and what is asked of many."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from chaos.history import History, Request, quantile

GOOD = Request(1, planned=1.0, sent=1.1, done=1.5, status=200, whole=True)


@pytest.mark.parametrize(
    ("request_", "outcome"),
    [
        (GOOD, "answered"),
        (replace(GOOD, whole=False), "cut"),
        (replace(GOOD, status=0, whole=False), "lost"),
        (replace(GOOD, status=0, whole=False, left=True), "left"),
        (replace(GOOD, status=500), "failed"),
        (replace(GOOD, status=429, retry_after="1"), "refused"),
        (replace(GOOD, status=503, retry_after="1"), "refused"),
        (replace(GOOD, status=503), "failed"),
        (replace(GOOD, status=400), "failed"),
    ],
)
def test_an_outcome_is_what_the_client_got(request_: Request, outcome: str) -> None:
    assert request_.outcome == outcome


def test_latency_counts_from_the_plan() -> None:
    assert GOOD.seconds == pytest.approx(0.5)


def test_a_part_of_a_history_is_by_plan() -> None:
    history = History([GOOD, replace(GOOD, planned=2.0), replace(GOOD, planned=3.0)])

    assert [each.planned for each in history.between(1.0, 3.0)] == [1.0, 2.0]


def test_quantiles() -> None:
    values = [float(value) for value in range(100)]

    assert quantile(values, 0.99) == 98.0
    assert quantile(values, 0.07) == 6.0
    assert quantile(values, 0.0) == 0.0
    assert quantile([1.0, 2.0], 0.5) == 1.0
    assert quantile([3.0], 1.0) == 3.0
    assert math.isnan(quantile([], 0.5))


def test_a_written_history_has_a_line_a_request(tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    History([GOOD, replace(GOOD, number=2, status=500)]).write(file)

    assert [line.split('"outcome": ')[1] for line in file.read_text().splitlines()] == [
        '"answered"}',
        '"failed"}',
    ]
