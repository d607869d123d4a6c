"""What the inference paths need of a request's head, read in one pass over the headers."""

import random
import time
from dataclasses import dataclass

from starlette.types import Scope

from gateway.gate import usable_id
from policies.authenticate import SEVERAL, from_api_key
from protos.errors import invalid
from protos.timeline import Timeline
from protos.trace_context import accepted, accepted_state
from protos.values import Headers

# Ids need to be distinct, not unguessable: the kernel's random source costs 5 µs a request.
_ids = random.Random()  # noqa: S311

# No header's value: a front proxy and we might not agree on which of two counts.
TWICE = b"\0twice"


@dataclass(frozen=True, slots=True)
class Head:
    """`json_length` is the binary extension's header; None: the whole body is JSON."""

    scope: Scope
    timeline: Timeline
    request_id: str
    authorization: bytes
    json_length: bytes | None

    @property
    def headers(self) -> Headers:
        found: Headers = self.scope["headers"]
        return found

    @classmethod
    def of(cls, scope: Scope) -> "Head":
        timeline = Timeline(time.monotonic())
        request_id = ""
        state: list[str] = []
        authorization = b""
        credentials = 0
        json_length = None
        for name, value in scope["headers"]:
            if name == b"authorization":
                credentials += 1
                authorization = value
            elif name == b"x-api-key":
                credentials += 1
                authorization = from_api_key(value)
            elif name == b"inference-header-content-length":
                json_length = value if json_length is None else TWICE
            elif name == b"x-request-id":
                request_id = usable_id(value)
            elif name == b"traceparent":
                timeline.parent = accepted(value.decode("latin-1"))
            elif name == b"tracestate":
                state.append(value.decode("latin-1"))
        if credentials > 1:
            authorization = SEVERAL
        if not request_id:
            request_id, timeline.named_here = f"{_ids.getrandbits(64):016x}", True
        if state and timeline.parent:
            timeline.tracestate = accepted_state(state)
        timeline.request_id = request_id
        return cls(scope, timeline, request_id, authorization, json_length)

    def json_bytes(self, body_bytes: int) -> int | None:
        """The length of the JSON before the tensors; raises INVALID for a header that is wrong."""
        if self.json_length is None:
            return None
        text = self.json_length
        if text is TWICE:
            raise invalid("Inference-Header-Content-Length: is there twice")
        if not text.isdigit() or len(text) > 18:
            raise invalid("Inference-Header-Content-Length: must be a number of bytes")
        if int(text) > body_bytes:
            raise invalid(
                f"Inference-Header-Content-Length: is {int(text)}, the body has {body_bytes} bytes"
            )
        return int(text)
