"""ModelStreamInfer: many requests on one stream, answers in parts.

Requests run side by side, so that they can share batches. Answers of requests that have only one
part come in the order of the requests, as Triton's do; parts of streamed ones as they appear.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError
from grpc import aio

from gateway.gate import Gate, client_gone
from gateway.grpc_call import begin
from gateway.grpc_message import unreadable
from gateway.ratelimit_headers import ratelimit_headers
from protos import oip_grpc
from protos import open_inference_pb2 as pb
from protos.errors import PenstockError
from protos.incident import incident
from protos.principal import Principal
from protos.timeline import Timeline
from protos.values import Headers, Part

Context = aio.ServicerContext[Any, Any]

# Requests of one stream that are worked on at a time; reading waits beyond that.
MAX_CONCURRENT = 256
# Asks for an empty last answer where a stream's end has no data of its own (Triton's clients).
EMPTY_FINAL = "triton_enable_empty_final_response"
FINAL = "triton_final_response"
# What trailers tell of one call, parameters tell of each of a stream's requests: the first three
# with every part of its answer, the others with the first part, or with the refusal.
ARM = "penstock_arm"
CACHE = "penstock_cache"
CACHE_AGE = "penstock_cache_age"  # seconds, of a hit
LIMIT = "penstock_"  # and then the name of a trailer, with underscores
PUSHBACK = "penstock_retry_pushback_ms"
_NOTHING: Mapping[str, str] = {}
# Stands in a stream for what can't be decoded; the others of the stream are answered.
_UNREADABLE = pb.ModelInferRequest()


@dataclass(frozen=True, slots=True)
class Form:
    """How the answers to one request look, and what `parameters` each of them has."""

    typed: bool
    empty_final: bool
    parameters: Mapping[str, str | int]


class InferStream:
    """One client's stream."""

    def __init__(
        self,
        gate: Gate,
        principal: Principal,
        headers: Headers,
        request_id: str,
    ) -> None:
        self._gate = gate
        self._principal = principal
        self._headers = headers
        self._request_id = request_id
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)
        self._writing = asyncio.Lock()

    async def serve(self, context: Context) -> None:
        """Until the client has closed its side and everything is answered, or it is gone."""
        async with asyncio.TaskGroup() as tasks:
            before: asyncio.Event | None = None
            while True:
                try:
                    message = await context.read()
                except DecodeError:
                    message = _UNREADABLE
                if message is aio.EOF:
                    return
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
        timeline = begin(context, "ModelStreamInfer")
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
            await self._write(context, _failure(message, timeline, failure))
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
        if message is _UNREADABLE:
            raise unreadable()
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
            streaming=True,
        )
        reply = await self._gate.service(request)
        try:
            if reply.rest is None and before is not None:
                await before.wait()
            form = Form(decoded.typed, empty_final, _of_every_part(timeline))
            await self._part(context, message, reply.first, form, _of_first_part(timeline))
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
        more: Mapping[str, str] = _NOTHING,
    ) -> None:
        if part.final and not part.payload.tensors and not form.empty_final:
            return
        response = oip_grpc.encode_reply(message.model_name, message.id, part, typed=form.typed)
        if form.empty_final:
            response.parameters[FINAL].bool_param = part.final
        _tell(response, form.parameters)
        _tell(response, more)
        await self._write(context, pb.ModelStreamInferResponse(infer_response=response))

    async def _write(self, context: Context, answer: pb.ModelStreamInferResponse) -> None:
        # grpc.aio takes one write at a time.
        async with self._writing:
            await context.write(answer)


def _of_every_part(timeline: Timeline) -> Mapping[str, str | int]:
    found: dict[str, str | int] = {}
    if timeline.arm_shown:
        found[ARM] = f"{timeline.route}/{timeline.arm}"
    if timeline.cache:
        found[CACHE] = timeline.cache
    if timeline.cache == "hit":
        found[CACHE_AGE] = int(timeline.cache_age)
    return found


def _of_first_part(timeline: Timeline) -> Mapping[str, str]:
    if timeline.quota is None:
        return _NOTHING
    return {LIMIT + name.replace("-", "_"): v for name, v in ratelimit_headers(timeline.quota)}


def _tell(response: pb.ModelInferResponse, parameters: Mapping[str, str | int]) -> None:
    for name, value in parameters.items():
        if isinstance(value, int):
            response.parameters[name].int64_param = value
        else:
            response.parameters[name].string_param = value


def _failure(
    message: pb.ModelInferRequest, timeline: Timeline, error: Exception
) -> pb.ModelStreamInferResponse:
    if not isinstance(error, PenstockError):
        error = incident(error, "a request failed")
    answer = pb.ModelStreamInferResponse(error_message=error.message)
    # Which of the stream's requests failed can only be told here.
    answer.infer_response.id = message.id
    answer.infer_response.model_name = message.model_name
    _tell(answer.infer_response, _of_first_part(timeline))
    if error.retry_after is not None:
        _tell(answer.infer_response, {PUSHBACK: round(error.retry_after * 1000)})
    return answer
