"""The inference paths of the REST face: infer, generate, generate_stream."""

from collections.abc import AsyncIterator

from starlette.types import Receive, Send

from gateway.decode import Decoder
from gateway.gate import Gate
from gateway.http.admit import admit
from gateway.http.bodies import Bodies
from gateway.http.head import Head
from gateway.http.respond import (
    BINARY,
    JSON,
    AlreadyTold,
    begin_events,
    end_events,
    send_body,
    send_event,
)
from protos import v2_generate, v2_json
from protos.errors import Kind, PenstockError
from protos.service import Reply
from protos.values import InferRequest, Part


class InferFace:
    """One worker's inference handlers; each takes (head, receive, send, model, version)."""

    def __init__(self, gate: Gate, decoder: Decoder, bodies: Bodies) -> None:
        self._gate = gate
        self._decoder = decoder
        self._bodies = bodies

    async def infer(
        self, head: Head, receive: Receive, send: Send, model: str, version: str
    ) -> None:
        """`POST …/infer`, JSON or the binary tensor extension in either direction."""
        gate = self._gate
        principal, body = await admit(gate, head, receive, self._bodies)
        decoded = await self._decoder.infer(
            body,
            head.json_bytes(len(body)),
            lambda: gate.signature(principal, head.timeline, model, version, head.headers),
        )
        head.timeline.mark("decode", gate.clock())
        request = gate.request(
            principal,
            head.timeline,
            model=model,
            version=version,
            request_id=decoded.id,
            payload=decoded.payload,
            parameters=decoded.parameters,
            headers=head.headers,
        )
        reply = await self._serve(head, request)
        try:
            if reply.rest is not None:
                raise several_parts()
            pieces, json_length = v2_json.encode_reply(
                model, decoded.id, reply.first, decoded.forms
            )
            head.timeline.mark("encode", gate.clock())
            if json_length is None:
                await send_body(send, head, pieces, JSON)
            else:
                length = (b"inference-header-content-length", b"%d" % json_length)
                await send_body(send, head, pieces, BINARY, [length])
        finally:
            reply.on_close()

    async def generate(
        self, head: Head, receive: Receive, send: Send, model: str, version: str
    ) -> None:
        """`POST …/generate`: one JSON object in, one out."""
        request = await self._generation(head, receive, model, version, streaming=False)
        reply = await self._serve(head, request)
        try:
            if reply.rest is not None:
                raise several_parts()
            content = v2_generate.encode_reply(model, reply.first, request.id)
            await send_body(send, head, [content], JSON)
        finally:
            reply.on_close()

    async def generate_stream(
        self, head: Head, receive: Receive, send: Send, model: str, version: str
    ) -> None:
        """`POST …/generate_stream`: Server-Sent Events, one for each part of the reply.

        An error after the first event is the last event; the status has been sent by then.
        """
        request = await self._generation(head, receive, model, version, streaming=True)
        reply = await self._serve(head, request)
        try:
            await begin_events(send, head)
            await send_event(send, v2_generate.encode_event(model, reply.first, request.id))
            if reply.rest is not None:
                await self._rest(send, request, reply.rest)
            await end_events(send)
        finally:
            reply.on_close()

    async def _rest(self, send: Send, request: InferRequest, rest: AsyncIterator[Part]) -> None:
        try:
            async for part in rest:
                if part.payload.tensors:  # the last part of a stream is often empty
                    event = v2_generate.encode_event(request.model, part, request.id)
                    await send_event(send, event)
        except PenstockError as error:
            await send_event(send, v2_generate.encode_error(error))
            await end_events(send)
            raise AlreadyTold(error) from error

    async def _generation(
        self, head: Head, receive: Receive, model: str, version: str, *, streaming: bool
    ) -> InferRequest:
        principal, body = await admit(self._gate, head, receive, self._bodies)
        signature = self._gate.signature(principal, head.timeline, model, version, head.headers)
        decoded = await self._decoder.generate(body, signature)
        head.timeline.mark("decode", self._gate.clock())
        return self._gate.request(
            principal,
            head.timeline,
            model=model,
            version=version,
            request_id=decoded.id,
            payload=decoded.payload,
            parameters=decoded.parameters,
            headers=head.headers,
            streaming=streaming,
        )

    async def _serve(self, head: Head, request: InferRequest) -> Reply:
        """Awaits the first part."""
        reply = await self._gate.service(request)
        head.timeline.mark("serve", self._gate.clock())
        return reply


def several_parts() -> PenstockError:
    return PenstockError(
        Kind.INVALID, "this model answers in several parts: use a streaming endpoint"
    )
