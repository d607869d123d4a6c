"""The span of a batch: below the first sampled call in it, linked to all of them."""

from functools import partial

from backends.batching.batch_span import trace_batch
from backends.tracing import Tracing
from protos.span import Link, Span
from protos.trace_context import begin, read
from tests.backends.loops import WAIT, Echo, Gated, job, running


class Kept(list[Span]):
    put = list.extend


def executed(runtime: Gated, *traceparents: str) -> tuple[list[Span], Tracing]:
    """What is told of a batch of such calls, which waited while another one was executed."""
    spans = Kept()
    tracing = Tracing(spans, "cuda:0")
    with running(runtime) as (loop, inbox):
        loop.on_batch = partial(trace_batch, tracing)
        loop.submit(job(0))
        assert runtime.entered.acquire(timeout=WAIT)
        for number, each in enumerate(traceparents):
            loop.submit(job(number + 1, traceparent=each))
        runtime.let.release(100)
        inbox.take(len(traceparents) + 1)
    return spans, tracing


def test_it_says_how_full_it_was_and_who_was_in_it() -> None:
    unsampled, one, other = begin("", False), begin("", True), begin("", True)
    (batch,), tracing = executed(Gated(), unsampled, one, other)
    first = read(one)
    assert (batch.trace_id, batch.parent_id) == (first.trace_id, first.span_id)
    assert batch.attributes.items() >= {
        ("penstock.batch.rows", 3),
        ("penstock.batch.requests", 3),
        ("penstock.device", "cuda:0"),
    }
    assert batch.attributes["penstock.batch.padded_rows"] >= 3
    assert batch.links == tuple(Link(*read(each)[:2]) for each in (unsampled, one, other))
    # So the calls in it can say so, too.
    held = tracing.batches[first.span_id]
    assert (held.trace_id, held.span_id) == (batch.trace_id, batch.span_id)
    assert tracing.batches.keys() == {first.span_id, read(other).span_id}


def test_a_batch_without_sampled_calls_has_none() -> None:
    spans, tracing = executed(Gated(), begin("", False), "")
    assert spans == []
    assert tracing.batches == {}


def test_a_batch_that_failed_says_so_and_its_halves_are_batches() -> None:
    one, other = begin("", True), begin("", True)
    spans, _ = executed(Gated({2: ValueError("a secret")}), one, other)
    assert [span.error for span in spans] == ["MODEL_FAILED", "", "MODEL_FAILED"]
    assert [len(span.links) for span in spans] == [2, 1, 1]
    assert [span.attributes["penstock.batch.reason"] for span in spans][1:] == ["bisect"] * 2
    assert "secret" not in str(spans)


def test_tracing_that_fails_harms_no_job() -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no room")

    with running(Echo()) as (loop, inbox):
        loop.on_batch = fail
        loop.submit(job(7))
        (outcome,) = inbox.take(1)
    assert outcome.error is None
