"""Beats: refused in a sentence, or endpoints, metrics and pages can be made of them."""

import ipaddress

import orjson
from google.protobuf.message import DecodeError

from gateway.beats import believe, keep_own
from gateway.endpoint_rows import endpoint_row
from gateway.language_metrics import register_engines
from gateway.metrics import Totals
from gateway.telemetry.exposition import page
from gateway.telemetry.mesh import MeshMetrics, take_work
from gateway.told_models import Wrong
from protos import discovery_pb2 as pb
from protos import v2_metadata
from protos.principal import Principal
from protos.v2_generate import decode_request
from protos.v2_raw import read_raw
from protos.versions import version_order
from routing.endpoint import signature
from routing.kept import Kept
from routing.registry import Registry
from tests.fuzz.refusing import check_sentence, refusing

ALLOWED = (ipaddress.ip_network("10.0.0.0/8"),)
SENDER = Principal("backend", "mesh", frozenset({"backend:join"}))


def one(data: bytes) -> None:
    try:
        beat = pb.Beat.FromString(data)
        wrongs = believe(beat, SENDER, ALLOWED)
    except DecodeError:
        return
    except Wrong as wrong:
        check_sentence(str(wrong))
        return
    for wrong in wrongs:
        check_sentence(wrong)
    registry = Registry()
    refused = registry.beat(beat, 0.0)
    if refused is not None:
        check_sentence(refused)
        return
    keep_own(beat, beat.models)
    work = take_work(beat)
    leases = registry.snapshot(0.0).leases
    totals = Totals()
    MeshMetrics(lambda: leases, lambda instance: work).register(totals)
    register_engines(totals, lambda: leases)
    for line in page(totals.families()).decode().removesuffix("\n").split("\n"):
        assert line.startswith(("#", "penstock_")), line
    orjson.dumps([endpoint_row(lease) for lease in leases])
    kept = Kept(beat.access_key)
    kept.update(beat.load, 0.0)
    for model in beat.models.models:
        _shown(model)


def _shown(model: pb.Model) -> None:
    version_order(model.version)
    interface = signature(model)
    v2_metadata.model(model.name, [model.version], interface)
    with refusing():
        read_raw(b"12345678", interface)
    with refusing():
        decode_request(b'{"x": [1, 2], "text_input": "a"}', interface)
