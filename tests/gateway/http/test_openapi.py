"""The REST face's description is valid, always the same, and complete in both directions."""

import inspect
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from openapi_spec_validator import validate
from starlette.routing import Route

from gateway.control import Control
from gateway.decode import Decoder
from gateway.gate import Gate
from gateway.http.bodies import Bodies
from gateway.http.control_face import control_face
from gateway.http.infer import InferFace
from gateway.http.openai_api import OpenAiApi
from gateway.http.openai_models import Models
from gateway.http.openapi import document
from protos.datatypes import DATATYPES
from protos.errors import TABLE

DOCUMENT: dict[str, Any] = json.loads(document())
MODEL = "/v2/models/{model}"
OPERATIONS = [
    (method.upper(), path, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method != "parameters"
]


def test_the_document_is_valid_openapi_3_1() -> None:
    validate(DOCUMENT)

    assert DOCUMENT["openapi"].startswith("3.1.")


def test_it_is_built_once() -> None:
    assert document() is document()


def test_it_has_the_routes_of_the_faces_and_no_others() -> None:
    described = {(method, path) for method, path, _ in OPERATIONS}
    assert described == _control_routes() | _inference() | _openai()


def _control_routes() -> set[tuple[str, str]]:
    # The routes are there without anything behind them.
    gate = SimpleNamespace(authenticate=None, audit=SimpleNamespace(stranger=print))
    app = control_face(cast(Gate, gate), cast(Control, None))
    routes = [route for route in app.routes if isinstance(route, Route)]
    assert len(routes) == len(app.routes)
    return {
        (method, route.path)
        for route in routes
        for method in route.methods or ()
        if method != "HEAD"
    }


def _inference() -> set[tuple[str, str]]:
    actions = [
        name
        for name, action in inspect.getmembers(InferFace, inspect.iscoroutinefunction)
        if not name.startswith("_")
    ]
    return {
        ("POST", f"{place}/{action}")
        for action in actions
        for place in (MODEL, f"{MODEL}/versions/{{version}}")
    }


def _openai() -> set[tuple[str, str]]:
    api = OpenAiApi(cast(Gate, None), cast(Models, None), cast(Decoder, None), Bodies(0, 0))
    paths = [*api.paths, "/v1/models/{model}"]
    assert all(api.find(path).model in ("", "{model}") for path in paths)
    return {(api.find(path).method, path) for path in paths}


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_every_operation_says_what_is_refused_and_how(
    method: str, path: str, operation: dict[str, Any]
) -> None:
    health = path.startswith("/v2/health")
    errors = {int(status) for status in operation["responses"]} - {200}

    assert errors <= {row.http for row in TABLE.values()}
    assert {400, 408, 431, 500, 503} <= errors
    assert (401 in errors) is not health
    assert (operation.get("security") == []) is health
    of_model = "{model}" in path or path.endswith("/stats")
    assert (404 in errors) == (of_model or (path.startswith("/v1/") and method == "POST"))
    assert (403 in errors) == path.endswith("load")


def test_every_operation_has_an_id_of_its_own() -> None:
    names = [operation["operationId"] for _, _, operation in OPERATIONS]

    assert len(set(names)) == len(names)


def test_every_datatype_has_a_form() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    in_json = {each["properties"]["datatype"]["const"] for each in schemas["InputTensor"]["oneOf"]}

    assert in_json == set(DATATYPES) - {"FP16", "BF16"}
    assert set(schemas["TensorMetadata"]["properties"]["datatype"]["enum"]) == set(DATATYPES)


def test_refusals_below_v1_have_openais_shape_and_others_the_protocols() -> None:
    for _, path, operation in OPERATIONS:
        for status in {"401", "404", "429"} & operation["responses"].keys():
            expected = ["OpenAiError"] if path.startswith("/v1/") else ["Error"]
            assert _errors(operation, status) == expected


def test_a_refusal_of_the_head_has_the_protocols_shape_whatever_the_path_is() -> None:
    for _, path, operation in OPERATIONS:
        expected = ["OpenAiError", "Error"] if path.startswith("/v1/") else ["Error"]
        assert _errors(operation, "400") == expected


def _errors(operation: dict[str, Any], status: str) -> list[str]:
    """The schemas of a refusal's body."""
    (content,) = operation["responses"][status]["content"].values()
    schema = content["schema"]
    return [each["$ref"].rpartition("/")[2] for each in schema.get("oneOf", [schema])]
