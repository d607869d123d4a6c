"""What is counted of a request, and that strangers can't make more series."""

import asyncio
import random
from types import SimpleNamespace

import pytest

from gateway.gate import Gate
from gateway.metrics import Metrics
from gateway.routes.current import CurrentRoutes
from gateway.telemetry import requests as counting
from gateway.telemetry.requests import RequestMetrics
from gateway.usage.book import UsageBook
from protos.errors import Kind, PenstockError
from protos.principal import Principal
from protos.timeline import Timeline
from tests.gateway.telemetry.collected import collected

EVERY = 0.0
NEVER = 1.0


def samples(metrics: RequestMetrics, name: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels.values()): sample.value
        for family in metrics.families()
        for sample in collected([family])[0].samples
        if sample.name == name
    }


def passed(**met) -> Timeline:
    return Timeline(1.0, arm="stable", batch_rows=4, queue_us=20_000, compute_us=50_000, **met)


def test_a_request_counts_by_route_arm_model_face_and_code() -> None:
    metrics = RequestMetrics(lambda: NEVER)
    metrics.observe("fraud", "m", "grpc", 200, passed(), 1.1)
    assert samples(metrics, "penstock_requests_total") == {
        ("fraud", "stable", "m", "grpc", "200", ""): 1
    }
    sums = samples(metrics, "penstock_request_duration_seconds_sum")
    assert sums == {("fraud", "stable", "m", "200"): pytest.approx(0.1)}


@pytest.mark.parametrize(
    ("code", "by_client", "fault"),
    [(200, False, ""), (429, True, "client"), (504, True, "client"), (504, False, "server")],
)
def test_whose_fault_a_failure_is_stands_beside_its_code(code, by_client, fault) -> None:
    metrics = RequestMetrics(lambda: NEVER)
    metrics.observe("fraud", "m", "http", code, passed(by_client=by_client), 1.1)
    found = samples(metrics, "penstock_requests_total")
    assert found == {("fraud", "stable", "m", "http", str(code), fault): 1}


def test_overhead_is_what_the_backend_did_not_need() -> None:
    metrics = RequestMetrics(lambda: NEVER)
    metrics.observe("fraud", "m", "http", 200, passed(), 1.1)
    found = samples(metrics, "penstock_overhead_seconds_sum")
    assert found == {("fraud", "m"): pytest.approx(0.03)}


def test_a_client_that_sends_slowly_is_no_overhead() -> None:
    metrics = RequestMetrics(lambda: NEVER)
    marks = [("auth", 1.001), ("read", 3.001), ("decode", 3.002)]
    metrics.observe("fraud", "m", "http", 200, passed(marks=marks), 3.1)
    found = samples(metrics, "penstock_overhead_seconds_sum")
    assert found == {("fraud", "m"): pytest.approx(0.03)}


@pytest.mark.parametrize("timeline", [passed(streaming=True), Timeline(1.0)])
def test_streams_and_what_no_backend_answered_have_no_overhead(timeline: Timeline) -> None:
    metrics = RequestMetrics(lambda: NEVER)
    metrics.observe("fraud", "m", "http", 200, timeline, 1.1)
    assert sum(samples(metrics, "penstock_overhead_seconds_count").values()) == 0


@pytest.mark.parametrize("cache", counting.REUSED)
def test_a_kept_answer_is_no_arms(cache: str) -> None:
    metrics = RequestMetrics(lambda: NEVER)
    metrics.observe("fraud", "m", "http", 200, passed(cache=cache), 1.1)
    assert list(samples(metrics, "penstock_requests_total")) == [
        ("fraud", "", "m", "http", "200", "")
    ]


def test_stages_are_those_between_marks_and_the_backends_own() -> None:
    metrics = RequestMetrics(lambda: EVERY)
    marks = [("auth", 1.001), ("read", 1.004)]
    metrics.observe("fraud", "m", "http", 200, passed(marks=marks), 1.1)
    assert samples(metrics, "penstock_stage_duration_seconds_sum") == {
        ("auth",): pytest.approx(0.001),
        ("read",): pytest.approx(0.003),
        ("queue",): pytest.approx(0.02),
        ("compute",): pytest.approx(0.05),
    }


def test_only_some_requests_tell_their_stages() -> None:
    rng = random.Random(7)
    metrics = RequestMetrics(rng.random)
    for _ in range(1600):
        metrics.observe("r", "m", "http", 200, passed(marks=[("auth", 1.001)]), 1.1)
    told = samples(metrics, "penstock_stage_duration_seconds_count")[("auth",)]
    assert told == pytest.approx(100, rel=0.3)


def test_a_sampled_trace_is_an_exemplar_of_its_bucket() -> None:
    metrics = RequestMetrics(lambda: NEVER)
    trace = "0af7651916cd43dd8448eb211c80319c"
    metrics.observe("r", "m", "http", 200, passed(sampled_trace=trace), 1.1)
    metrics.observe("r", "m", "http", 200, passed(), 1.2)
    told = [
        (sample.name, sample.exemplar.labels, pytest.approx(sample.exemplar.value))
        for family in metrics.families()
        for sample in collected([family])[0].samples
        if sample.exemplar
    ]
    assert told == [
        ("penstock_request_duration_seconds_bucket", {"trace_id": trace}, 0.1),
        ("penstock_overhead_seconds_bucket", {"trace_id": trace}, 0.03),
    ]


def gate(metrics: Metrics, models: set[str]) -> Gate:
    return Gate(
        service=None,
        table=SimpleNamespace(
            versions=lambda model: ["1"] if model in models else [], settled=True
        ),
        routes=CurrentRoutes(),
        authenticate=None,
        metrics=metrics,
        arms=SimpleNamespace(observe=lambda *_: None),
        clock=lambda: 1.1,
        total=30.0,
        audit=SimpleNamespace(request=lambda *_: None),
        usage=UsageBook(lambda: 0.0, shown=["acme"]),
    )


def test_ten_thousand_random_tenants_models_and_paths_make_no_more_series() -> None:
    rng = random.Random(1)
    metrics = Metrics()
    asked = gate(metrics, {"known"})
    not_found = PenstockError(Kind.NOT_FOUND, "no model is called so")
    for _ in range(10_000):
        name = f"{rng.getrandbits(64):x}"
        who = Principal("s", f"tenant-{rng.getrandbits(64):x}", frozenset({"infer:*"}))
        for model, error in ((name, not_found), ("known", None)):
            timeline = Timeline(1.0)
            asked.request(
                who,
                timeline,
                model=model,
                version="",
                request_id=name,
                payload=None,
                parameters={},
                headers=[(b"x-path", name.encode())],
            )
            timeline.answered = 1.05
            asked.observe(model, "http", timeline, error)
    found = samples(metrics.requests, "penstock_requests_total")
    assert found == {
        ("", "", "other", "http", "404", "client"): 10_000,
        ("", "", "known", "http", "200", ""): 10_000,
    }
    assert {tenant for tenant, _ in asked.usage.shown()} == {"other"}
    assert sum(len(family.series) for family in asyncio.run(metrics.families())) < 20


def test_names_of_documents_that_come_and_go_for_ever_end_as_others(monkeypatch) -> None:
    monkeypatch.setattr(counting, "MOST", 20)
    metrics = RequestMetrics(lambda: NEVER)
    for number in range(1000):
        metrics.observe(f"route-{number}", "m", "http", 200, passed(), 1.1)
    found = samples(metrics, "penstock_requests_total")
    assert len(found) == 21
    assert found["other", "", "other", "http", "200", ""] == 980
