"""The golden traces: sent to a real Jaeger, and read back by its query API."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from chaos.ports import free_ports
from protos.orphans import die_with
from protos.otlp import Collector, OtlpExporter, resource_of
from protos.span import SpanKind
from tests.golden_traces import golden
from tests.otlp_collector import Tree, receiving
from tests.servers import find_jaeger

PATIENCE = 60.0
SERVICE = "penstock-gateway"


@pytest.mark.parametrize("name", golden(0.0))
def test_each_golden_trace_is_one_connected_tree(name: str) -> None:
    spans = golden(time.monotonic())[name]
    known = {span.span_id for span in spans}
    assert len(known) == len(spans)
    assert [span.name for span in spans if span.parent_id not in known] == [spans[0].name]
    assert {span.trace_id for span in spans} == {spans[0].trace_id}


def test_the_golden_traces_pass_over_a_socket_as_they_are() -> None:
    traces = golden(time.monotonic())
    with receiving() as received:
        exporter = OtlpExporter(
            Collector(endpoint=received.endpoint), resource_of(SERVICE, "golden")
        )
        assert exporter([span for spans in traces.values() for span in spans])
        exporter.close()
    for spans in traces.values():
        tree = Tree(received.of(f"{spans[0].trace_id:032x}"))
        assert len(tree.spans) == len(spans)
        assert tree.root.name == spans[0].name


@pytest.mark.jaeger
def test_jaeger_shows_the_golden_traces(tmp_path: Path) -> None:
    traces = golden(time.monotonic())
    with jaeger(tmp_path) as (collector, query):
        exporter = OtlpExporter(Collector(endpoint=collector), resource_of(SERVICE, "golden"))
        assert exporter([span for spans in traces.values() for span in spans])
        exporter.close()
        for name, spans in traces.items():
            shown = _read_back(query, f"{spans[0].trace_id:032x}", len(spans))
            by_id = {each["spanID"]: each for each in shown["spans"]}
            for span in spans:
                found = by_id[f"{span.span_id:016x}"]
                assert found["operationName"] == span.name, name
                tags = {tag["key"]: tag["value"] for tag in found["tags"]}
                assert span.attributes.items() <= tags.items()
                if span.kind is not SpanKind.INTERNAL:
                    assert tags["span.kind"] == span.kind.name.lower()
                parents = [
                    each["spanID"]
                    for each in found["references"]
                    if each["refType"] == "CHILD_OF" and each["traceID"] == found["traceID"]
                ]
                if span.parent_id:
                    assert f"{span.parent_id:016x}" in parents
                process = shown["processes"][found["processID"]]
                assert process["serviceName"] == SERVICE
                assert "process.pid" in {tag["key"] for tag in process["tags"]}
        services = httpx.get(f"{query}/api/services").raise_for_status().json()["data"]
        assert SERVICE in services


@contextmanager
def jaeger(folder: Path) -> Iterator[tuple[str, str]]:
    """Where it takes OTLP, and where it is asked."""
    program = find_jaeger()
    assert program is not None
    otlp, query = free_ports(2)
    if "all-in-one" in program.name:  # version 1
        flags = [
            f"--collector.otlp.grpc.host-port=127.0.0.1:{otlp}",
            f"--query.http-server.host-port=127.0.0.1:{query}",
        ]
    else:
        flags = [
            f"--set=receivers.otlp.protocols.grpc.endpoint=127.0.0.1:{otlp}",
            f"--set=extensions.jaeger_query.http.endpoint=127.0.0.1:{query}",
        ]
    log = folder / "jaeger.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(program), *flags],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=partial(die_with, os.getpid()),
        )
    try:
        _wait_for(f"http://127.0.0.1:{query}/api/services", log)
        yield f"http://127.0.0.1:{otlp}", f"http://127.0.0.1:{query}"
    finally:
        process.terminate()
        process.wait(10.0)


def _wait_for(url: str, log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"Jaeger doesn't answer:\n{log.read_text(errors='replace')[-2000:]}")


def _read_back(query: str, trace_id: str, count: int) -> dict[str, Any]:
    """The trace, when all of its spans are there."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        answer = httpx.get(f"{query}/api/traces/{trace_id}")
        if answer.is_success:
            trace: dict[str, Any] = answer.json()["data"][0]
            if len(trace["spans"]) >= count:
                return trace
        time.sleep(0.1)
    raise AssertionError(f"Jaeger has not got the {count} spans of {trace_id}")
