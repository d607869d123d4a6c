"""A real Prometheus and a real mesh of two workers: what is scraped, and which alerts fire."""

import json
import re
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from chaos.mesh import Mesh
from tests.integration import mesh_models as models
from tests.integration.prometheus_server import Prometheus

NAMES = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
ROUTE = """
apiVersion: penstock/v1
kind: Route
metadata: {{name: {name}}}
spec:
  match: [{{model: {name}}}]
  backends:
    - {{name: stable, model: several, version: "1", weight: 90}}
    - {{name: canary, model: several, version: "1", weight: 10}}
  limits: [{{per: tenant, requests: {limit}}}]
"""
ROUTES = {
    "wide.yaml": ROUTE.format(name="wide", limit="10000/s"),
    "narrow.yaml": ROUTE.format(name="narrow", limit="5/1h"),
}
BODY = {
    "inputs": [
        {"name": "left", "datatype": "INT32", "shape": [1, 3], "data": [10, 20, 30]},
        {"name": "right", "datatype": "INT32", "shape": [1, 3], "data": [1, 2, 3]},
        {"name": "text", "datatype": "BYTES", "shape": [1, 1], "data": ["abc"]},
    ]
}
MORE = """
discovery: {{lease: 3s}}
telemetry:
  collector: {{endpoint: "http://127.0.0.1:{port}"}}
  logs: {{sample: 100%}}
"""
TRACE = secrets.token_hex(16)
ANSWERED: list[int] = []  # the codes of all requests for the route that lets all pass
QUERIES = (
    'sum by (route, arm, code) (rate(penstock_requests_total{route="wide"}[1m]))',
    "histogram_quantile(0.99, sum by (le) (rate(penstock_request_duration_seconds_bucket[1m])))",
    "histogram_quantile(0.5, sum by (le) (rate(penstock_overhead_seconds_bucket[1m])))",
    "penstock_event_loop_lag_seconds_count{worker='1'}",
    'penstock_process_resident_memory_bytes{worker="supervisor"}',
    'penstock_endpoint_state{state="ready"} == 1',
    "penstock_endpoint_queued_seconds",
    "sum by (backend) (rate(penstock_backend_rows_total[1m])) > 0",
    "histogram_quantile(0.9, sum by (le) (rate(penstock_backend_queue_seconds_bucket[1m])))",
    'penstock_arm_weight{route="wide",arm="canary"} == 0.1',
    'penstock_limit_allowed_total{route="wide"} > 0',
    'penstock_model_endpoints{model="several"} == 2',
    "penstock_build_info",
)


@contextmanager
def collector() -> Iterator[int]:
    """The port of one that takes every span: only requests whose trace is kept are exemplars."""
    takes = grpc.unary_unary_rpc_method_handler(lambda request, context: b"")
    name = "opentelemetry.proto.collector.trace.v1.TraceService"
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(name, {"Export": takes}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(0.0)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("prometheus")
    repository = folder / "models"
    models.write_several(repository)
    with (
        collector() as port,
        Mesh(folder, workers=2, routes=ROUTES, more=MORE.format(port=port)) as mesh,
    ):
        mesh.start_backend("one", repository)
        mesh.start_backend("two", repository)
        mesh.wait_ready(("several", "1"), instances=2)
        yield mesh


@pytest.fixture(scope="module")
def prometheus(mesh: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with Prometheus(tmp_path_factory.mktemp("scraper"), mesh) as prometheus:
        prometheus.wait(lambda: bool(prometheus.query("up == 1")), "the first scrape")
        yield prometheus


def ask(mesh: Mesh, model: str, times: int) -> list[int]:
    """So many requests on connections of their own, so that both workers get some."""
    headers = {
        "authorization": f"Bearer {mesh.token('infer:*')}",
        "traceparent": f"00-{TRACE}-b7ad6b7169203331-01",
    }

    def one(_: int) -> int:
        url = f"{mesh.url}/v2/models/{model}/infer"
        return httpx.post(url, json=BODY, headers=headers, timeout=30.0).status_code

    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(one, range(times)))
    if model == "wide":
        ANSWERED.extend(codes)
    return codes


def total(prometheus: Prometheus, expression: str) -> float:
    return sum(value for _, value in prometheus.query(expression))


def test_every_target_is_up_and_every_query_finds_something(
    mesh: Mesh, prometheus: Prometheus
) -> None:
    def found() -> bool:
        assert set(ask(mesh, "wide", 10)) == {200}
        return all(prometheus.query(each) for each in QUERIES)

    prometheus.wait(found, "all queries to find something")
    (target,) = prometheus.targets()
    assert (target["health"], target["lastError"]) == ("up", "")


def test_workers_count_each_request_once(mesh: Mesh, prometheus: Prometheus) -> None:
    ask(mesh, "wide", 40)
    requests = 'sum(penstock_requests_total{route="wide"})'
    durations = 'sum(penstock_request_duration_seconds_count{route="wide"})'
    prometheus.wait(lambda: total(prometheus, requests) >= len(ANSWERED), "workers to report")
    assert total(prometheus, requests) == len(ANSWERED)
    assert total(prometheus, durations) == len(ANSWERED)


def test_exemplars_lead_to_traces(prometheus: Prometheus) -> None:
    def traces() -> set[str]:
        query = "penstock_request_duration_seconds_bucket"
        series = prometheus.ask("query_exemplars", query=query, start=0, end=2**33)
        return {each["labels"]["trace_id"] for one in series for each in one["exemplars"]}

    prometheus.wait(lambda: bool(traces()), "an exemplar")
    assert traces() == {TRACE}


def test_what_only_one_worker_can_say_is_not_added_up(prometheus: Prometheus) -> None:
    assert [value for _, value in prometheus.query("penstock_endpoints")] == [2.0]
    connected = {
        labels["backend"]: v for labels, v in prometheus.query("penstock_endpoint_connected")
    }
    assert connected == {"one": 1.0, "two": 1.0}
    found = prometheus.query("penstock_process_start_time_seconds")
    assert {labels["worker"] for labels, _ in found} == {"0", "1", "supervisor"}


def test_every_name_on_the_page_is_documented(mesh: Mesh) -> None:
    undocumented = {
        family.name
        for family in text_string_to_metric_families(mesh.metrics())
        if not family.name.startswith("penstock_usage_")
        and not re.search(rf"`{family.name}(_total)?`", NAMES)
    }
    assert undocumented == set()


def test_each_request_has_a_line_in_the_log(mesh: Mesh) -> None:
    def lines() -> list[dict[str, object]]:
        text = mesh.gateway.log.read_text()
        found = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        return [line for line in found if line["logger"] == "request"]

    mesh.wait(lambda: len(lines()) >= len(ANSWERED), "the lines")
    told = lines()[-1]
    assert (told["route"], told["model"], told["code"]) == ("wide", "wide", 200)
    assert told["trace_id"] == TRACE
    assert told["tenant"] == "other"
    assert "tester" not in mesh.gateway.log.read_text()


def test_exactly_the_alert_of_a_fault_fires(mesh: Mesh, prometheus: Prometheus) -> None:
    """One fault after the other; each ends before the next begins, but for the last."""

    def fires(alert: str) -> None:
        prometheus.wait(lambda: bool(prometheus.firing()), f"{alert} to fire")
        assert prometheus.firing() == {alert}

    def ends() -> None:
        prometheus.wait(lambda: not prometheus.firing(), "the alert to end")

    ends()
    mesh.write_route("wide.yaml", "kind: Nonsense")
    fires("PenstockRoutesStale")
    assert ask(mesh, "wide", 1) == [200]
    mesh.write_route("wide.yaml", ROUTES["wide.yaml"])
    ends()

    def saturated() -> bool:
        ask(mesh, "narrow", 20)
        return bool(prometheus.firing())

    prometheus.wait(saturated, "the tenant's limit to be told of")
    assert prometheus.firing() == {"PenstockTenantSaturated"}
    ends()

    mesh.process("two").kill()
    fires("PenstockBackendLost")
    assert set(ask(mesh, "wide", 10)) == {200}
    assert prometheus.firing() == {"PenstockBackendLost"}
