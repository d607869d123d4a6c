"""ModelStreamInfer: many requests on one stream, answers in parts.

Requests run side by side, so that they can share batches. Answers of requests that have only one
part come in the order of the requests, as Triton's do; parts of streamed ones as they appear.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from grpc import aio

from gateway.gate import Gate, client_gone
from protos import oip_grpc
from protos import open_inference_pb2 as pb
from protos.errors import PenstockError
from protos.incident import incident
from protos.values import Headers, Part, Principal, Timeline

Context = aio.ServicerContext[Any, Any]

# Requests of one stream that are worked on at a time; reading waits beyond that.
MAX_CONCURRENT = 256
# Asks for an empty last answer where a stream's end has no data of its own (Triton's clients).
EMPTY_FINAL = "triton_enable_empty_final_response"
FINAL = "triton_final_response"
# A stream's requests may go to different arms, so its trailing metadata can't name one; nor can it
# say which of the answers were kept ones.
ARM = "penstock_arm"
CACHE = "penstock_cache"
CACHE_AGE = "penstock_cache_age"  # seconds, of a hit


@dataclass(frozen=True, slots=True)
class Form:
    """How the answers to one request look."""

    typed: bool
    empty_final: bool
    arm: str
    cache: str
    age: int


class InferStream:
    """One client's stream."""

    def __init__(
        self,
        gate: Gate,
        principal: Principal,
        traceparent: str,
        headers: Headers,
        request_id: str,
    ) -> None:
        self._gate = gate
        self._principal = principal
        self._traceparent = traceparent
        self._headers = headers
        self._request_id = request_id
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)
        self._writing = asyncio.Lock()

    async def serve(self, messages: AsyncIterator[pb.ModelInferRequest], context: Context) -> None:
        """Until the client has closed its side and everything is answered, or it is gone."""
        async with asyncio.TaskGroup() as tasks:
            before: asyncio.Event | None = None
            async for message in messages:
                await self._slots.acquire()
                done = asyncio.Event()
                tasks.create_task(self._answer(message, context, before, done))
                before = done

    async def _answer(
        self,
        message: pb.ModelInferRequest,
        context: Context,
        before: asyncio.Event | None,
        done: asyncio.Event,
    ) -> None:
        timeline = Timeline(time.monotonic())
        timeline.principal, timeline.request_id = self._principal, self._request_id
        error: Exception | None = None
        try:
            await self._infer(message, context, timeline, before)
        except asyncio.CancelledError:
            error = client_gone()
            raise
        except Exception as failure:
            error = failure
            if before is not None:
                await before.wait()
            await self._write(context, _failure(message, failure))
        finally:
            self._gate.observe(message.model_name, "grpc", timeline, error)
            done.set()
            self._slots.release()

    async def _infer(
        self,
        message: pb.ModelInferRequest,
        context: Context,
        timeline: Timeline,
        before: asyncio.Event | None,
    ) -> None:
        decoded = oip_grpc.decode_request(message)
        parameters = dict(decoded.parameters)
        empty_final = parameters.pop(EMPTY_FINAL, False) is True
        request = self._gate.request(
            self._principal,
            timeline,
            model=decoded.model,
            version=decoded.version,
            request_id=decoded.id,
            payload=decoded.payload,
            parameters=parameters,
            headers=self._headers,
            traceparent=self._traceparent,
            streaming=True,
        )
        reply = await self._gate.service(request)
        try:
            if reply.rest is None and before is not None:
                await before.wait()
            age = int(timeline.cache_age)
            form = Form(decoded.typed, empty_final, _arm(timeline), timeline.cache, age)
            await self._part(context, message, reply.first, form)
            if reply.rest is not None:
                async for part in reply.rest:
                    await self._part(context, message, part, form)
        finally:
            reply.on_close()

    async def _part(
        self,
        context: Context,
        message: pb.ModelInferRequest,
        part: Part,
        form: Form,
    ) -> None:
        if part.final and not part.payload.tensors and not form.empty_final:
            return
        response = oip_grpc.encode_reply(message.model_name, message.id, part, typed=form.typed)
        if form.empty_final:
            response.parameters[FINAL].bool_param = part.final
        if form.arm:
            response.parameters[ARM].string_param = form.arm
        if form.cache:
            response.parameters[CACHE].string_param = form.cache
        if form.cache == "hit":
            response.parameters[CACHE_AGE].int64_param = form.age
        await self._write(context, pb.ModelStreamInferResponse(infer_response=response))

    async def _write(self, context: Context, answer: pb.ModelStreamInferResponse) -> None:
        # grpc.aio takes one write at a time.
        async with self._writing:
            await context.write(answer)


def _arm(timeline: Timeline) -> str:
    return f"{timeline.route}/{timeline.arm}" if timeline.arm_shown else ""


def _failure(message: pb.ModelInferRequest, error: Exception) -> pb.ModelStreamInferResponse:
    if not isinstance(error, PenstockError):
        error = incident(error, "a request failed")
    answer = pb.ModelStreamInferResponse(error_message=error.message)
    # Which of the stream's requests failed can only be told here.
    answer.infer_response.id = message.id
    answer.infer_response.model_name = message.model_name
    return answer
