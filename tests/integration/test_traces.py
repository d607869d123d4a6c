"""Traces of a real mesh, received as OTLP behind a real collector: each one connected tree."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import tritonclient.grpc as triton

from chaos.mesh import Mesh
from tests import tiny_llama
from tests.integration import mesh_models as models
from tests.otlp_collector import Traces, Tree, collecting, complete

EXCHANGE = "penstock.v1.Backend/Exchange"
RETROSPECTIVE = 'penstock_traces_total{why="retrospective"}'
CLIENT = "00f067aa0ba902b7"  # the client's own span
BODY = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [0]}]}
WHO_TOO = """
apiVersion: penstock/v1
kind: Route
metadata: {name: watched}
spec:
  match: [{model: watched}]
  backends: [{name: stable, model: who, version: "1"}]
  mirror: [{backend: candidate, model: several, percent: 100, compare: {kind: tensor, output: pid}}]
"""
SPARE = """
apiVersion: penstock/v1
kind: Route
metadata: {name: spare}
spec:
  match: [{model: slow}]
  backends: [{name: only, model: slow, version: "1"}]
  retries: {max: 2, budget: 100%}
"""
TELEMETRY = """
telemetry: {{collector: {{endpoint: "{endpoint}"}}, sample: 0%, slow: 10s}}
"""
# Rows that come together: nobody leaves before the device is free.
ROWS = """
inputs: [{name: x, datatype: FP32, shape: [-1, 1]}]
outputs: [{name: pid, datatype: INT64, shape: [-1, 1]}]
batching: {max: 8, sizes: [4, 8]}
"""


@dataclass(frozen=True)
class Site:
    mesh: Mesh
    traces: Traces
    client: httpx.Client
    record: Path
    release: Path

    def tree(self, trace_id: str, *names: str) -> Tree:
        return complete(self.traces, trace_id, self.mesh.wait, *names)

    def begun(self, tag: str) -> bool:
        return self.record.exists() and tag in self.record.read_text().splitlines()

    def in_flight(self, instance: str) -> int:
        row = self.mesh.instance(instance)
        return 0 if row is None else int(row["load"]["in_flight"])

    def slow(self, tag: str, trace: str) -> httpx.Response:
        """Occupies the device until `release` is there."""
        inputs = [
            {"name": "seconds", "datatype": "FP32", "shape": [1], "data": [60]},
            {"name": "tag", "datatype": "BYTES", "shape": [1], "data": [tag]},
        ]
        headers = sampled(trace)
        body = {"inputs": inputs}
        return self.client.post("/v2/models/slow/infer", json=body, headers=headers, timeout=90.0)


def sampled(trace: str) -> dict[str, str]:
    return {"traceparent": f"00-{trace}-{CLIENT}-01"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("traces")
    record, release = folder / "record", folder / "release"
    for name in ("one", "two"):
        models.write_slow(folder / name, record, release)
    models.write_model(folder / "one" / "who", models.WHO, ROWS)
    models.write_model(folder / "one" / "several", models.WHO, ROWS)
    models.write_fails(folder / "one")
    tiny_llama.write(folder / "language" / "tiny")
    routes = {"watched.yaml": WHO_TOO, "spare.yaml": SPARE}
    with collecting(folder) as traces:
        more = TELEMETRY.format(endpoint=traces.endpoint)
        with Mesh(folder, routes=routes, more=more) as mesh:
            collector = ("--otlp-endpoint", traces.endpoint)
            mesh.start_backend("one", folder / "one", *collector)
            memory = ("--memory-budget", "80KiB", "--block-size", "8")
            language = folder / "language"
            mesh.start_backend("language", language, *memory, *collector, runtime="llm")
            mesh.wait_ready(("slow", "1"), ("who", "1"), ("tiny", "1"))
            with mesh.client("infer:*") as client:
                yield Site(mesh, traces, client, record, release)


def test_a_request_is_one_tree_from_the_client_to_the_device(site: Site) -> None:
    trace = "a" * 31 + "1"
    headers = {**sampled(trace), "tracestate": "vendor=1", "x-request-id": "mine"}
    assert site.client.post("/v2/models/who/infer", json=BODY, headers=headers).is_success

    tree = site.tree(trace, "POST /v2/models/{model}/infer", EXCHANGE, EXCHANGE, "execute", "batch")

    request = tree.root
    (attempt,) = tree.named(EXCHANGE, penstock__attempt=1)
    (backend,) = tree.below(attempt)
    assert (request.kind, attempt.kind, backend.kind) == ("SERVER", "CLIENT", "SERVER")
    assert request.parent_id == CLIENT
    assert attempt.parent_id == request.span_id
    assert [span.name for span in tree.below(backend)].count("queue") == 1
    assert {span.name for span in tree.below(backend)} == {"queue", "batch", "execute"}
    assert {span.tracestate for span in tree.spans if span.name != "batch"} == {"vendor=1"}
    assert request.service == attempt.service == "penstock-gateway"
    assert backend.service == "penstock-backend-python"
    assert request.resource["process.pid"] != backend.resource["process.pid"]
    assert request.attributes.items() >= {
        ("http.request.method", "POST"),
        ("http.route", "/v2/models/{model}/infer"),
        ("http.response.status_code", 200),
        ("server.address", "127.0.0.1"),
        ("penstock.model", "who"),
        ("penstock.request_id", "mine"),
    }
    assert attempt.attributes["penstock.instance"] == "one"
    # Nothing below begins before, or ends after, what it is a part of.
    for parent in (request, attempt):
        for child in tree.below(parent):
            assert parent.start <= child.start <= child.end <= parent.end


def test_calls_that_share_a_batch_are_linked_by_it(site: Site) -> None:
    site.release.unlink(missing_ok=True)
    traces = [f"{'b' * 30}0{number}" for number in range(3)]
    with ThreadPoolExecutor(4) as pool:
        occupying = pool.submit(site.slow, "occupying", "b" * 31 + "f")
        site.mesh.wait(lambda: site.begun("occupying"), "the device to be busy")
        asked = [
            pool.submit(site.client.post, "/v2/models/who/infer", json=BODY, headers=sampled(each))
            for each in traces
        ]
        site.mesh.wait(lambda: site.in_flight("one") >= 4, "three calls to wait for the device")
        site.release.touch()
        assert all(each.result().is_success for each in (occupying, *asked))

    trees = [site.tree(each, EXCHANGE, EXCHANGE, "queue", "execute") for each in traces]

    def batches() -> list[Any]:
        return [span for each in traces for span in site.traces.of(each) if span.name == "batch"]

    site.mesh.wait(lambda: bool(batches()), "the batch's span")
    (batch,) = batches()  # one for all three
    servers = [tree.named(EXCHANGE, penstock__model="who")[-1] for tree in trees]
    executions = [tree.named("execute")[0] for tree in trees]
    assert batch.attributes.items() >= {
        ("penstock.batch.rows", 3),
        ("penstock.batch.padded_rows", 4),
        ("penstock.batch.requests", 3),
        ("penstock.device", "cpu"),
        ("penstock.model", "who"),
    }
    assert set(batch.links) == {span.context for span in servers}
    assert [span.links for span in executions] == [[batch.context]] * 3
    assert all(span.attributes["penstock.batch.rows"] == 3 for span in executions)
    assert Tree([*site.traces.of(batch.trace_id)]).root.parent_id == CLIENT


def test_a_streamed_chat_tells_its_first_and_last_part(site: Site) -> None:
    trace = "c" * 31 + "1"
    chat = openai.OpenAI(
        base_url=f"{site.mesh.url}/v1", api_key=site.mesh.token("infer:*"), max_retries=0
    )
    stream = chat.chat.completions.create(
        model="tiny",
        messages=[{"role": "user", "content": "one two three"}],
        max_tokens=6,
        temperature=0,
        stream=True,
        extra_headers=sampled(trace),
        extra_body={"ignore_eos": True},
    )
    assert len(list(stream)) > 2

    tree = site.tree(trace, "POST /v1/chat/completions", EXCHANGE, EXCHANGE, "queue", "execute")

    assert tree.shape() == (
        "POST /v1/chat/completions",
        [(EXCHANGE, [(EXCHANGE, [("queue", []), ("execute", [])])])],
    )
    for span in (tree.root, *tree.named("execute"), tree.named(EXCHANGE)[0]):
        (first, nothing), (last, told) = span.events
        assert (first, last, nothing) == ("first_part", "last_part", {})
        assert told["penstock.parts"] > 2
    assert tree.root.attributes.items() >= {
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.request.model", "tiny"),
        ("gen_ai.usage.output_tokens", 6),
    }
    assert tree.root.attributes["gen_ai.usage.input_tokens"] > 0
    (execution,) = tree.named("execute")
    assert execution.service == "penstock-backend-llm"


def test_a_copy_is_a_child_that_says_so(site: Site) -> None:
    trace = "d" * 31 + "1"
    answer = site.client.post("/v2/models/watched/infer", json=BODY, headers=sampled(trace))
    assert answer.is_success, answer.text

    tree = site.tree(trace, "POST /v2/models/{model}/infer", *[EXCHANGE] * 4, *["execute"] * 2)

    (copy,) = tree.named(EXCHANGE, penstock__shadow=True, penstock__arm="candidate")
    (primary,) = tree.named(EXCHANGE, penstock__arm="stable")
    assert copy.parent_id == primary.parent_id == tree.root.span_id
    assert "penstock.shadow" not in primary.attributes
    (candidate,) = tree.below(copy)
    assert candidate.attributes["penstock.shadow"] is True
    assert candidate.attributes["penstock.model"] == "several"


def test_grpc_says_its_method_and_failures_their_kind(site: Site) -> None:
    trace = "e" * 31 + "1"
    asked = triton.InferInput("x", [1], "FP32")
    asked.set_data_from_numpy(np.zeros(1, np.float32))
    headers = {**sampled(trace), "authorization": f"Bearer {site.mesh.token('infer:*')}"}
    with (
        triton.InferenceServerClient(site.mesh.address("grpc")) as client,
        pytest.raises(triton.InferenceServerException),
    ):
        client.infer("fails", [asked], headers=headers)

    method = "inference.GRPCInferenceService/ModelInfer"
    tree = site.tree(trace, method, EXCHANGE, EXCHANGE, "queue", "execute", "batch")

    assert tree.root.name == method
    assert tree.root.attributes["rpc.method"] == "ModelInfer"
    for span in (tree.root, *tree.named(EXCHANGE), *tree.named("batch")):
        assert (span.failed, span.error) == (True, "MODEL_FAILED")
        assert span.attributes["error.type"] == "MODEL_FAILED"
    told = " ".join(str(request) for request in site.traces.requests)
    assert "a secret of the model" not in told


def test_unsampled_requests_are_traced_in_retrospect_when_they_fail(site: Site) -> None:
    trace = "e" * 31 + "2"
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [0]}]}
    headers = {"traceparent": f"00-{trace}-{CLIENT}-00"}
    answer = site.client.post("/v2/models/fails/infer", json=body, headers=headers)
    assert answer.status_code == 500

    tree = site.tree(trace, "POST /v2/models/{model}/infer", EXCHANGE)

    below = (EXCHANGE, [("queue", []), ("execute", [])])
    assert tree.shape() == ("POST /v2/models/{model}/infer", [below])
    assert tree.root.attributes["penstock.retrospective"] is True
    assert tree.root.error == "MODEL_FAILED"
    assert tree.root.parent_id == CLIENT


def test_healthy_unsampled_requests_are_not_traced(site: Site) -> None:
    trace, after = "e" * 31 + "3", "e" * 31 + "4"
    headers = {"traceparent": f"00-{trace}-{CLIENT}-00"}
    assert site.client.post("/v2/models/who/infer", json=BODY, headers=headers).is_success
    # What was sent since has come.
    for _ in range(8):
        with site.mesh.client("infer:*") as client:
            client.post("/v2/models/who/infer", json=BODY, headers=sampled(after))
    site.tree(after, *["POST /v2/models/{model}/infer"] * 8, *["execute"] * 8)
    assert site.traces.of(trace) == []


def test_how_spans_fare_is_counted(site: Site) -> None:
    def counted(series: str) -> float:
        lines = site.mesh.metrics().splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(series)), 0.0)

    def told() -> bool:
        sampled_, later = counted('penstock_traces_total{why="sampled"}'), counted(RETROSPECTIVE)
        return sampled_ > 0 and later > 0 and counted("penstock_spans_exported_total") > 0

    site.mesh.wait(told, "the counts of spans")
    assert counted("penstock_spans_dropped_total") == 0


def test_a_repeated_attempt_says_why(site: Site) -> None:
    site.release.unlink(missing_ok=True)
    trace = "f" * 31 + "1"
    first = site.mesh.process("one")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(site.slow, "repeated", trace)
        site.mesh.wait(lambda: site.begun("repeated"), "the call to execute")
        repository = site.mesh.folder / "two"
        site.mesh.start_backend("two", repository, "--otlp-endpoint", site.traces.endpoint)
        site.mesh.wait_ready(("slow", "1"), instances=2)
        first.signal(signal.SIGKILL)
        site.mesh.wait(lambda: site.record.read_text().count("repeated") == 2, "a second attempt")
        site.release.touch()
        assert asked.result().is_success

    tree = site.tree(trace, "POST /v2/models/{model}/infer", *[EXCHANGE] * 3, "execute", "batch")

    lost, repeated = [span for span in tree.below(tree.root) if span.name == EXCHANGE]
    assert (lost.attributes["penstock.attempt"], lost.error) == (1, "LOST")
    assert repeated.attributes["penstock.attempt"] == 2
    assert repeated.attributes["penstock.retry.reason"] == "LOST"
    assert repeated.attributes["penstock.suspect"] is True
    assert (lost.attributes["penstock.instance"], repeated.attributes["penstock.instance"]) == (
        "one",
        "two",
    )
    assert tree.below(lost) == []  # it was killed before it could tell
    (backend,) = tree.below(repeated)
    assert {span.name for span in tree.below(backend)} == {"queue", "batch", "execute"}
    assert not tree.root.failed  # the client has its answer
    pids = {span.resource["process.pid"] for span in site.traces.spans}
    assert len(pids) == 4  # the gateway and three backends


def test_a_dead_collector_hurts_nobody(site: Site) -> None:
    collector = site.traces.collector
    assert collector is not None
    collector.kill()
    collector.wait()
    received = len(site.traces.spans)
    chat = {"model": "tiny", "messages": [{"role": "user", "content": "one"}], "max_tokens": 2}
    for number in range(20):
        headers = sampled(f"{number:032x}"[:-1] + "9")
        answer = site.client.post("/v1/chat/completions", json=chat, headers=headers)
        assert answer.is_success, answer.text

    def dropped() -> bool:
        lines = site.mesh.metrics().splitlines()
        return any(
            line.startswith("penstock_spans_dropped_total") and float(line.split()[-1]) > 0
            for line in lines
        )

    site.mesh.wait(dropped, "lost spans to be counted")
    assert len(site.traces.spans) == received
    assert site.client.post("/v1/chat/completions", json=chat).is_success
