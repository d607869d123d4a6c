"""OpenAI's API: chat, completions, embeddings and models, on raw ASGI like the inference paths.

A model takes part if its backends take OpenAI's objects; encoders of texts that take tensors
(protos/openai/embeddings.py) serve `/v1/embeddings` as well.
"""

from collections.abc import AsyncIterator

import orjson
from starlette.types import Receive, Send

from gateway.decode import Decoder
from gateway.gate import Gate
from gateway.http.admit import admit
from gateway.http.bodies import Bodies
from gateway.http.dispatch import Action, Found
from gateway.http.head import Head
from gateway.http.openai_models import Models
from gateway.http.respond import AlreadyTold, begin_events, end_events, send_body, send_event
from gateway.http.scope import alternative_names
from protos.errors import Kind, PenstockError, invalid
from protos.openai import request as requests
from protos.openai.embeddings import encoder_of, to_tensors
from protos.openai.errors import encode_error
from protos.openai.reply import DONE, encode_event, encode_reply, error_event
from protos.openai.request import Asked, Read
from protos.principal import Principal
from protos.service import Reply
from protos.values import NO_PARAMETERS, Part, Payload, Signature
from protos.wording import quote

MODELS = "/v1/models"


class OpenAiApi:
    """One worker's handlers of the paths below `/v1/`."""

    def __init__(self, gate: Gate, models: Models, decoder: Decoder, bodies: Bodies) -> None:
        self._gate = gate
        self._models = models
        self._decoder = decoder
        self._bodies = bodies
        self.paths = {
            "/v1/chat/completions": _inference(self.chat_completions, "/v1/chat/completions"),
            "/v1/completions": _inference(self.completions, "/v1/completions"),
            "/v1/embeddings": _inference(self.embeddings, "/v1/embeddings"),
            MODELS: _question(self.models),
        }

    def find(self, path: str) -> Found:
        """What a path stands for; errors on all of them have OpenAI's shape."""
        found = self.paths.get(path)
        if found is not None:
            return found
        if path.startswith(f"{MODELS}/"):  # the rest is the name, slashes included
            return _question(self.model, path[len(MODELS) + 1 :])
        return Found(_nothing, method="", face="", encode_error=encode_error)

    async def chat_completions(
        self, head: Head, receive: Receive, send: Send, model: str, version: str
    ) -> None:
        """`POST /v1/chat/completions`, whole or as events."""
        await self._generate(head, receive, send, requests.chat)

    async def completions(
        self, head: Head, receive: Receive, send: Send, model: str, version: str
    ) -> None:
        """`POST /v1/completions`, whole or as events."""
        await self._generate(head, receive, send, requests.prompt)

    async def embeddings(
        self, head: Head, receive: Receive, send: Send, model: str, version: str
    ) -> None:
        """`POST /v1/embeddings`, by a model that takes OpenAI's objects or by an encoder."""
        principal, asked = await self._read(head, receive, requests.embedding)
        signature = self._signature(principal, asked, head)
        encoder = None
        payload: Payload = asked.payload
        if signature is not None and not signature.openai:
            encoder = encoder_of(signature)
            if encoder is None:
                raise _of_tensors(asked)
            payload = to_tensors(encoder, asked.payload.body)
        reply = await self._serve(head, principal, asked, payload)
        try:
            part = _only(reply)
            if encoder is None:
                content = encode_reply(asked, part)
            else:
                content = await self._decoder.vectors(encoder, asked, part)
            await send_body(send, head, [content])
        finally:
            reply.on_close()

    async def models(
        self, head: Head, receive: Receive, send: Send, model: str, version: str
    ) -> None:
        """`GET /v1/models`: those that the caller may use here."""
        principal = await self._who(head)
        found = self._models.all(principal, head.headers)
        await send_body(send, head, [orjson.dumps({"object": "list", "data": found})])

    async def model(
        self, head: Head, receive: Receive, send: Send, model: str, version: str
    ) -> None:
        """`GET /v1/models/{model}`."""
        found = self._models.one(await self._who(head), model, head.headers)
        await send_body(send, head, [orjson.dumps(found)])

    async def _who(self, head: Head) -> Principal:
        return await self._gate.authenticate.admit(
            head.authorization, alternative_names(head.scope)
        )

    async def _generate(self, head: Head, receive: Receive, send: Send, read: Read) -> None:
        principal, asked = await self._read(head, receive, read)
        signature = self._signature(principal, asked, head)
        if signature is not None and not signature.openai:
            raise _of_tensors(asked)
        reply = await self._serve(head, principal, asked, asked.payload)
        try:
            if not asked.streaming:
                await send_body(send, head, [encode_reply(asked, _only(reply))])
                return
            event = encode_event(asked, reply.first)
            await begin_events(send, head)
            if event:
                await send_event(send, event)
            if reply.rest is not None:
                await self._rest(send, asked, reply.rest)
            await send_event(send, DONE)
            await end_events(send)
        finally:
            reply.on_close()

    async def _rest(self, send: Send, asked: Asked, rest: AsyncIterator[Part]) -> None:
        try:
            async for part in rest:
                if event := encode_event(asked, part):
                    await send_event(send, event)
        except PenstockError as error:
            await send_event(send, error_event(error))
            await end_events(send)
            raise AlreadyTold(error) from error

    async def _read(self, head: Head, receive: Receive, read: Read) -> tuple[Principal, Asked]:
        gate = self._gate
        principal, body = await admit(gate, head, receive, self._bodies)
        asked = await self._decoder.openai(body, read)
        head.timeline.model = asked.model
        head.timeline.mark("decode", gate.clock())
        return principal, asked

    async def _serve(
        self, head: Head, principal: Principal, asked: Asked, payload: Payload
    ) -> Reply:
        """Awaits the first part."""
        gate = self._gate
        request = gate.request(
            principal,
            head.timeline,
            model=asked.model,
            version="",
            request_id="",
            payload=payload,
            parameters={"priority": asked.priority} if asked.priority else NO_PARAMETERS,
            headers=head.headers,
            streaming=asked.streaming,
        )
        reply = await gate.service(request)
        head.timeline.mark("serve", gate.clock())
        return reply

    def _signature(self, principal: Principal, asked: Asked, head: Head) -> Signature | None:
        """The model's interface; None while nobody serves it, which the pipeline has to answer."""
        try:
            return self._gate.signature(principal, head.timeline, asked.model, "", head.headers)
        except PenstockError as error:
            if error.kind is Kind.UNAVAILABLE:
                return None
            raise


def _inference(action: Action, path: str) -> Found:
    return Found(action, face="openai", encode_error=encode_error, operation=f"POST {path}")


def _question(action: Action, model: str = "") -> Found:
    return Found(action, model, method="GET", face="", encode_error=encode_error)


async def _nothing(head: Head, receive: Receive, send: Send, model: str, version: str) -> None:
    raise PenstockError(Kind.NOT_FOUND, "there is no such path")


def _only(reply: Reply) -> Part:
    """The part of a reply that has only one."""
    if reply.rest is not None:
        raise PenstockError(Kind.BAD_REPLY, "the model answered in parts, which nobody asked for")
    return reply.first


def _of_tensors(asked: Asked) -> PenstockError:
    return invalid(
        f"model {quote(asked.model)} takes tensors: ask it at /v2/models/…/infer", param="model"
    )
