"""The backend's end of the exchange: reads frames without pause, answers in any order, in parts.

The stream's reader never waits for the device: work over the bound is refused by reply. Replies
that are ready together travel in one frame.
"""

import asyncio
import hmac
import logging
from collections import deque
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc
from grpc import aio

from backends.batching.job import Job, Outcome
from backends.incident import incident
from backends.intake import Intake
from backends.reply import output_tensors
from protos import exchange_codec as codec
from protos.errors import Kind, PenstockError
from protos.values import Signature

FRAME_PARTS = 128
FRAME_BYTES = 512 * 1024
# A gateway that waits hears from us this often, or it takes us for stopped.
SPEAK_EVERY = 0.25  # seconds
REPLY_BYTES = 256 * 1024 * 1024

log = logging.getLogger(__name__)

Context = aio.ServicerContext[bytes, bytes]


class ExchangeService:
    """Serves `penstock.v1.Backend/Exchange` to callers that show the access key."""

    def __init__(self, intake: Intake, access_key: str) -> None:
        self._intake = intake
        self._key = access_key.encode()

    def handler(self) -> grpc.GenericRpcHandler:
        method: grpc.RpcMethodHandler[bytes, bytes]
        method = grpc.stream_stream_rpc_method_handler(self._exchange)
        return grpc.method_handlers_generic_handler("penstock.v1.Backend", {"Exchange": method})

    async def _exchange(self, frames: AsyncIterator[bytes], context: Context) -> None:
        if not admitted(context, self._key):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the access key is wrong")
        # Sent at once: the gateway counts the stream as connected when it sees the headers.
        await context.send_initial_metadata(())
        stream = _Stream(self._intake)
        writer = asyncio.create_task(stream.write(context), name="exchange writer")
        speaker = asyncio.create_task(stream.speak(), name="exchange speaker")
        try:
            async for frame in frames:
                stream.take(codec.decode_requests(frame))
        except PenstockError as error:
            log.warning("ended a gateway's stream: %s", error.message)
        finally:
            stream.close()
            speaker.cancel()
            writer.cancel()
            await asyncio.gather(speaker, writer, return_exceptions=True)


class _Stream:
    """One gateway's stream: its calls in flight and the parts that wait to be written."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._jobs: dict[int, Job] = {}
        self._outbox: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._written = 0
        self._quiet = False

    def take(self, requests: codec.Requests) -> None:
        readable: list[codec.Call] = []
        for call in requests.calls:
            if isinstance(call, codec.Call):
                readable.append(call)
            else:
                self._refuse(*call)
        if readable:
            self._submit(readable)
        for call_id in requests.cancels:
            job = self._jobs.pop(call_id, None)
            if job is not None:
                self._intake.cancel(job)
        for call_id, room in requests.credits:
            job = self._jobs.get(call_id)
            if job is not None:
                self._intake.device.add_credit(job.id, room)

    def close(self) -> None:
        """The gateway is gone, and so is everybody who waited behind it."""
        for job in self._jobs.values():
            self._intake.cancel(job)
        self._jobs.clear()

    async def write(self, context: Context) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._outbox or self._quiet:
                await context.write(self._next_frame())

    async def speak(self) -> None:
        """Has an empty frame written where a gateway waits and nothing else was."""
        while True:
            before = self._written
            await asyncio.sleep(SPEAK_EVERY)
            if self._jobs and self._written == before:
                self._quiet = True
                self._wake.set()

    def _submit(self, calls: list[codec.Call]) -> None:
        sinks = [(call, partial(self._answer, call.id)) for call in calls]
        taken = self._intake.submit_all(sinks, codec.INITIAL_CREDIT)
        for call, job in zip(calls, taken, strict=True):
            if isinstance(job, Job):
                self._jobs[call.id] = job
            else:
                self._refuse(call.id, job)

    def _refuse(self, call_id: int, error: PenstockError) -> None:
        self._put(codec.encode_failure(call_id, error, executed=False))

    def _answer(self, call_id: int, outcome: Outcome, signature: Signature) -> None:
        final = outcome.final
        try:
            part = _encode(call_id, outcome, signature)
        except Exception as raised:
            error = (
                raised
                if isinstance(raised, PenstockError)
                else incident(raised, "a reply could not be encoded")
            )
            part = codec.encode_failure(call_id, error, executed=outcome.executed)
            if not final:
                self._intake.cancel(outcome.job)  # a failure is the last that the caller gets
            final = True
        if final:
            self._jobs.pop(call_id, None)
        self._put(part)

    def _put(self, part: bytes) -> None:
        self._outbox.append(part)
        self._wake.set()

    def _next_frame(self) -> bytes:
        self._written += 1
        self._quiet = False
        parts: list[bytes] = []
        size = 0
        while self._outbox and len(parts) < FRAME_PARTS and size < FRAME_BYTES:
            part = self._outbox.popleft()
            parts.append(part)
            size += len(part)
        return codec.reply_frame(parts)


def _encode(call_id: int, outcome: Outcome, signature: Signature) -> bytes:
    if outcome.error is not None:
        return codec.encode_failure(call_id, outcome.error, executed=outcome.executed)
    tensors = output_tensors(outcome, signature)
    part = codec.encode_part(
        call_id,
        tensors,
        outcome.job.model[1],
        final=outcome.final,
        queue_us=int(outcome.queue * 1e6),
        compute_us=int(outcome.compute * 1e6),
        batch_rows=outcome.batch_rows,
        padded_rows=outcome.padded_rows,
    )
    if len(part) > REPLY_BYTES:
        why = f"the reply has {len(part)} bytes, at most {REPLY_BYTES} can be sent"
        raise PenstockError(Kind.BAD_REPLY, why)
    return part


def admitted(context: "aio.ServicerContext[Any, Any]", key: bytes) -> bool:
    """Whether the caller shows the key that this backend told the gateways it joined."""
    shown = [
        value
        for name, value in (context.invocation_metadata() or ())
        if name == codec.ACCESS_KEY and isinstance(value, str)
    ]
    return len(shown) == 1 and hmac.compare_digest(shown[0].encode(), key)
