"""Spans wait in a bounded queue; whoever puts them there never waits."""

import threading
from collections.abc import Sequence

from protos.span import Span, SpanKind
from protos.span_queue import SpanQueue

PATIENCE = 30.0


def spans(count: int) -> list[Span]:
    return [Span(1, number + 1, 0, "s", SpanKind.INTERNAL, 0, 1) for number in range(count)]


class Collector:
    """Takes spans once it is `open`, unless it is `down`."""

    def __init__(self, *, down: bool = False) -> None:
        self.open = threading.Event()
        self.called = threading.Event()
        self.down = down
        self.taken: list[Span] = []

    def __call__(self, spans: Sequence[Span]) -> int:
        self.called.set()
        self.open.wait(PATIENCE)
        if self.down:
            return 0
        self.taken += spans
        return len(spans)


def test_spans_reach_the_collector_in_their_order() -> None:
    collector = Collector()
    collector.open.set()
    queue = SpanQueue(collector, linger=0.01)
    given = spans(1200)
    queue.put(given[:3])
    queue.put(given[3:])
    queue.close(PATIENCE)
    assert collector.taken == given
    assert (queue.exported, queue.dropped, queue.queued) == (1200, 0, 0)


def test_a_collector_that_hangs_costs_what_does_not_fit_and_the_rest_waits() -> None:
    collector = Collector()
    queue = SpanQueue(collector, capacity=10, linger=0.01)
    queue.put(spans(1))
    assert collector.called.wait(PATIENCE)  # in its hands, and not given back
    for _ in range(100):
        queue.put(spans(3))
    assert (queue.queued, queue.dropped) == (9, 291)
    collector.open.set()
    queue.close(PATIENCE)
    assert queue.exported == 10


def test_a_trace_is_dropped_as_a_whole() -> None:
    collector = Collector()
    queue = SpanQueue(collector, capacity=4, linger=PATIENCE)
    queue.put(spans(3))
    queue.put(spans(2))
    assert (queue.queued, queue.dropped) == (3, 2)
    collector.open.set()
    queue.close(PATIENCE)


def test_a_collector_that_is_down_costs_spans_which_are_counted() -> None:
    collector = Collector(down=True)
    collector.open.set()
    queue = SpanQueue(collector, linger=0.01)
    queue.put(spans(700))
    queue.close(PATIENCE)
    assert (queue.exported, queue.dropped, queue.queued) == (0, 700, 0)
    queue.put(spans(1))  # after its end
    assert queue.dropped == 701


def test_what_a_collector_rejects_is_lost() -> None:
    queue = SpanQueue(lambda spans: len(spans) - 2, linger=0.01)
    queue.put(spans(5))
    queue.close(PATIENCE)
    assert (queue.exported, queue.dropped) == (3, 2)


def test_what_a_collector_that_hangs_has_in_hand_at_the_end_is_lost_as_well() -> None:
    collector = Collector()
    queue = SpanQueue(collector, linger=0.01)
    queue.put(spans(3))
    assert collector.called.wait(PATIENCE)
    queue.put(spans(4))
    queue.close(0.01)
    assert (queue.exported, queue.dropped, queue.queued) == (0, 7, 0)
    collector.open.set()
