"""The Open Inference Protocol on the backend itself: for direct clients and for control.

Gateways ask it for configuration, statistics, loading and unloading; any OIP client can talk to it
where the operator opened it (`--open`) or handed out the access key. The answer's trailing metadata
tell the queue and compute times that the exchange's replies carry.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeVar

from grpc import aio

from backends.batching.job import Outcome
from backends.exchange import admitted
from backends.intake import Intake
from backends.model_messages import config_message, statistics_message
from backends.models.lifecycle import Lifecycle
from backends.reply import output_tensors
from protos import oip_grpc
from protos import open_inference_pb2 as pb
from protos.arrays import to_array
from protos.errors import Kind, PenstockError
from protos.exchange_calls import Call
from protos.incident import incident
from protos.oip_metadata import metadata_message
from protos.open_inference_pb2_grpc import GRPCInferenceServiceServicer
from protos.values import Part, Signature, Tensors

Context = aio.ServicerContext[Any, Any]
T = TypeVar("T")

NAME = "penstock-backend"
QUEUE_US = "x-penstock-queue-us"
COMPUTE_US = "x-penstock-compute-us"


class OipService(GRPCInferenceServiceServicer):  # type: ignore[misc]  # generated, without types
    """`inference.GRPCInferenceService`; `access_key` None lets everybody in.

    Calls that are not here, such as ModelStreamInfer, answer UNIMPLEMENTED.
    """

    def __init__(self, intake: Intake, lifecycle: Lifecycle, access_key: str | None) -> None:
        self._intake = intake
        self._lifecycle = lifecycle
        self._key = access_key.encode() if access_key is not None else None

    async def ServerLive(  # noqa: N802 (the service's names, here and below)
        self, message: pb.ServerLiveRequest, context: Context
    ) -> pb.ServerLiveResponse:
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(  # noqa: N802
        self, message: pb.ServerReadyRequest, context: Context
    ) -> pb.ServerReadyResponse:
        return pb.ServerReadyResponse(ready=any(e.ready for e in self._lifecycle.index()))

    async def ServerMetadata(  # noqa: N802
        self, message: pb.ServerMetadataRequest, context: Context
    ) -> pb.ServerMetadataResponse:
        async def answer() -> pb.ServerMetadataResponse:
            return pb.ServerMetadataResponse(name=NAME)

        return await self._admit(context, answer)

    async def ModelReady(  # noqa: N802
        self, message: pb.ModelReadyRequest, context: Context
    ) -> pb.ModelReadyResponse:
        async def answer() -> pb.ModelReadyResponse:
            try:
                self._lifecycle.get(message.name, message.version)
            except PenstockError as error:
                if error.kind is Kind.UNAVAILABLE:
                    return pb.ModelReadyResponse(ready=False)
                raise
            return pb.ModelReadyResponse(ready=True)

        return await self._admit(context, answer)

    async def ModelMetadata(  # noqa: N802
        self, message: pb.ModelMetadataRequest, context: Context
    ) -> pb.ModelMetadataResponse:
        async def answer() -> pb.ModelMetadataResponse:
            entry = self._lifecycle.get(message.name, message.version)
            versions = [e.version for e in self._lifecycle.index() if e.name == message.name]
            return metadata_message(message.name, versions, entry.signature)

        return await self._admit(context, answer)

    async def ModelInfer(  # noqa: N802
        self, message: pb.ModelInferRequest, context: Context
    ) -> pb.ModelInferResponse:
        async def answer() -> pb.ModelInferResponse:
            decoded = oip_grpc.decode_request(message)
            tensors = decoded.payload.tensors
            left = context.time_remaining()
            call = Call(
                id=0,
                model=decoded.model,
                version=decoded.version,
                request_id=decoded.id,
                inputs={tensor.name: to_array(tensor) for tensor in tensors},
                datatypes={tensor.name: tensor.datatype for tensor in tensors},
                wanted=decoded.payload.wanted,
                parameters=decoded.parameters,
                tenant="",
                traceparent="",
                priority=0,
                shadow=False,
                suspect=False,
                streaming=False,
                remaining_us=max(1, int(left * 1e6)) if left is not None else 0,
            )
            outcome, signature = await self._execute(call)
            if outcome.error is not None:
                raise outcome.error
            queue_us, compute_us = int(outcome.queue * 1e6), int(outcome.compute * 1e6)
            context.set_trailing_metadata(
                ((QUEUE_US, str(queue_us)), (COMPUTE_US, str(compute_us)))
            )
            part = Part(
                Tensors(tuple(output_tensors(outcome, signature))), outcome.job.model[1], {}, True
            )
            return oip_grpc.encode_reply(decoded.model, decoded.id, part, typed=decoded.typed)

        return await self._admit(context, answer)

    async def ModelConfig(  # noqa: N802
        self, message: pb.ModelConfigRequest, context: Context
    ) -> pb.ModelConfigResponse:
        async def answer() -> pb.ModelConfigResponse:
            entry = self._lifecycle.get(message.name, message.version)
            return pb.ModelConfigResponse(config=config_message(entry))

        return await self._admit(context, answer)

    async def ModelStatistics(  # noqa: N802
        self, message: pb.ModelStatisticsRequest, context: Context
    ) -> pb.ModelStatisticsResponse:
        async def answer() -> pb.ModelStatisticsResponse:
            if message.name:
                self._lifecycle.get(message.name, message.version)
            response = pb.ModelStatisticsResponse()
            for entry in self._lifecycle.index():
                wanted = message.name in ("", entry.name)
                if wanted and message.version in ("", entry.version) and entry.ready:
                    statistics = self._intake.device.statistics(entry.key)
                    response.model_stats.append(statistics_message(entry.key, statistics))
            return response

        return await self._admit(context, answer)

    async def RepositoryIndex(  # noqa: N802
        self, message: pb.RepositoryIndexRequest, context: Context
    ) -> pb.RepositoryIndexResponse:
        async def answer() -> pb.RepositoryIndexResponse:
            response = pb.RepositoryIndexResponse()
            for entry in self._lifecycle.index():
                if entry.ready or not message.ready:
                    response.models.add(
                        name=entry.name,
                        version=entry.version,
                        state=entry.state.name,
                        reason=entry.reason,
                    )
            return response

        return await self._admit(context, answer)

    async def RepositoryModelLoad(  # noqa: N802
        self, message: pb.RepositoryModelLoadRequest, context: Context
    ) -> pb.RepositoryModelLoadResponse:
        async def answer() -> pb.RepositoryModelLoadResponse:
            await self._lifecycle.load(message.model_name)
            return pb.RepositoryModelLoadResponse()

        return await self._admit(context, answer)

    async def RepositoryModelUnload(  # noqa: N802
        self, message: pb.RepositoryModelUnloadRequest, context: Context
    ) -> pb.RepositoryModelUnloadResponse:
        async def answer() -> pb.RepositoryModelUnloadResponse:
            await self._lifecycle.unload(message.model_name)
            return pb.RepositoryModelUnloadResponse()

        return await self._admit(context, answer)

    async def _execute(self, call: Call) -> tuple[Outcome, Signature]:
        done: asyncio.Future[tuple[Outcome, Signature]]
        done = asyncio.get_running_loop().create_future()

        def sink(outcome: Outcome, signature: Signature) -> None:
            if not outcome.final:
                self._intake.cancel(job)
                refusal = "this model answers in several parts: use a gateway's streaming faces"
                if not done.done():
                    done.set_exception(PenstockError(Kind.INVALID, refusal))
            elif not done.done():
                done.set_result((outcome, signature))

        job = self._intake.submit(call, sink)
        try:
            return await done
        except asyncio.CancelledError:
            self._intake.cancel(job)
            raise

    async def _admit(self, context: Context, answer: Callable[[], Awaitable[T]]) -> T:
        """Checks the key, answers, and turns errors into statuses."""
        try:
            if self._key is not None and not admitted(context, self._key):
                raise PenstockError(Kind.UNAUTHENTICATED, "the access key is wrong")
            return await answer()
        except Exception as error:
            await _abort(context, error)


async def _abort(context: Context, error: Exception) -> NoReturn:
    if not isinstance(error, PenstockError):
        error = incident(error, "a request failed")
    await context.abort(error.row.grpc, error.message)
    raise AssertionError("abort raises")
