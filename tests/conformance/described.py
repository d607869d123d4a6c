"""Holds what goes over the wire against the server's own description of it."""

import json
from typing import Any
from urllib.parse import quote

import httpx
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

JSON = "application/json"
BINARY = "application/octet-stream"
EVENTS = "text/event-stream"
LENGTH = "inference-header-content-length"
_DOCUMENT = "urn:document"


class Description:
    """An OpenAPI document that checks replies: `check` is for httpx's event hooks."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._registry: Registry[Any] = Registry().with_resource(
            _DOCUMENT, DRAFT202012.create_resource(document)
        )
        self.seen: set[tuple[str, str, int]] = set()

    def operation(self, method: str, path: str) -> tuple[str, dict[str, Any]]:
        """The template that a path fits best, and the operation on it."""
        pieces = path.split("/")
        fitting = [
            template
            for template, item in self._document["paths"].items()
            if method.lower() in item and _fits(template.split("/"), pieces)
        ]
        # "/v2/models/stats" and not the model of that name, as the specification has it.
        template = min(fitting, key=lambda each: each.count("{"))
        return template, self._document["paths"][template][method.lower()]

    def check(self, reply: httpx.Response) -> None:
        """Raises unless status, headers and body are as the document says; reads the body."""
        method, path = reply.request.method, reply.request.url.path
        template, operation = self.operation(method, path)
        place = ("paths", template, method.lower())
        responses = operation["responses"]
        assert str(reply.status_code) in responses, f"{method} {template}: {reply.status_code}"
        self.seen.add((method, template, reply.status_code))
        response = responses[str(reply.status_code)]
        kind = reply.headers["content-type"].partition(";")[0]
        assert kind in response["content"], f"{method} {template}: {kind}"
        self._check_headers(reply, response)
        place = (*place, "responses", str(reply.status_code), "content", kind, "schema")
        schema = response["content"][kind].get("schema")
        if kind == EVENTS or schema is None:
            return
        body = reply.read()
        if kind == BINARY:
            place = (*place, "x-head")
            body = body[: int(reply.headers[LENGTH])]
        self.validate(json.loads(body), *place)
        if reply.status_code == 200:
            self._check_request(reply.request, (*place[:3], "requestBody", "content"))

    def check_event(self, data: str) -> None:
        """One event of `generate_stream`."""
        responses = ("paths", "/v2/models/{model}/generate_stream", "post", "responses", "200")
        self.validate(json.loads(data), *responses, "content", EVENTS, "schema", "x-event-data")

    def validate(self, value: Any, *place: str) -> None:
        pointer = "/".join(quote(piece.replace("~", "~0").replace("/", "~1")) for piece in place)
        schema = {"$ref": f"{_DOCUMENT}#/{pointer}"}
        Draft202012Validator(schema, registry=self._registry).validate(value)

    def _check_headers(self, reply: httpx.Response, response: dict[str, Any]) -> None:
        for name in response["headers"]:
            # A server that refuses a head knows no request yet, whose id and times it could tell.
            if name in ("x-request-id", "server-timing", "www-authenticate"):
                assert name in reply.headers, f"{reply.request.url.path}: {name} is missing"

    def _check_request(self, request: httpx.Request, place: tuple[str, ...]) -> None:
        """What was accepted must have been described."""
        body = request.read()
        if not body or "content-encoding" in request.headers:
            return
        head = request.headers.get(LENGTH)
        if head is None:
            self.validate(json.loads(body), *place, JSON, "schema")
        elif head != "0":
            self.validate(json.loads(body[: int(head)]), *place, BINARY, "schema", "x-head")


def _fits(template: list[str], pieces: list[str]) -> bool:
    return len(template) == len(pieces) and all(
        mine.startswith("{") or mine == theirs
        for mine, theirs in zip(template, pieces, strict=True)
    )
