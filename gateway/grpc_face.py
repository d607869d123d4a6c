"""The gRPC face: the Open Inference Protocol with Triton's streaming and repository calls."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, TypeVar

from grpc import aio

from gateway import quota
from gateway.cache import cache_headers
from gateway.control import Control
from gateway.gate import Gate, client_gone, trace_of, usable_id
from gateway.grpc_guard import credential_of, names_of, one_value
from gateway.grpc_stream import InferStream
from gateway.identity import EXTENSIONS, NAME, VERSION
from policies.authorize import ADMIN, require_scope
from protos import oip_grpc
from protos import open_inference_pb2 as pb
from protos.errors import Kind, PenstockError
from protos.incident import incident
from protos.oip_metadata import metadata_message
from protos.values import Headers, InferRequest, Principal, Timeline

Context = aio.ServicerContext[Any, Any]
T = TypeVar("T")


class GrpcFace:
    """`inference.GRPCInferenceService`. `_rescued` is where errors become gRPC statuses."""

    def __init__(self, gate: Gate, control: Control) -> None:
        self._gate = gate
        self._control = control

    async def ModelInfer(  # noqa: N802 (the service's name)
        self, message: pb.ModelInferRequest, context: Context
    ) -> pb.ModelInferResponse:
        timeline = Timeline(time.monotonic())
        model = message.model_name
        try:
            request, typed = self.request(message, timeline, context, streaming=False)
            reply = await self._gate.service(request)
            try:
                if reply.rest is not None:
                    raise PenstockError(
                        Kind.INVALID, "this model answers in several parts: use ModelStreamInfer"
                    )
                answer = oip_grpc.encode_reply(model, request.id, reply.first, typed=typed)
            finally:
                reply.on_close()
        except asyncio.CancelledError:
            self._gate.observe(model, "grpc", timeline, client_gone())
            raise
        except Exception as error:
            self._gate.observe(model, "grpc", timeline, error)
            await _abort(context, error, _trailers(timeline))
        self._gate.observe(model, "grpc", timeline, None)
        context.set_trailing_metadata(_trailers(timeline))
        return answer

    async def ModelStreamInfer(  # noqa: N802
        self, messages: AsyncIterator[pb.ModelInferRequest], context: Context
    ) -> None:
        try:
            principal = self._who(context)
        except PenstockError as error:
            await _abort(context, error)
        stream = InferStream(
            self._gate,
            principal,
            trace_of(_metadata(context, "traceparent")),
            headers_of(context),
            request_id_of(context),
        )
        try:
            await stream.serve(messages, context)
        except* PenstockError as group:
            await _abort(context, group.exceptions[0])

    async def ServerLive(  # noqa: N802
        self, message: pb.ServerLiveRequest, context: Context
    ) -> pb.ServerLiveResponse:
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(  # noqa: N802
        self, message: pb.ServerReadyRequest, context: Context
    ) -> pb.ServerReadyResponse:
        return pb.ServerReadyResponse(ready=self._control.ready())

    async def ServerMetadata(  # noqa: N802
        self, message: pb.ServerMetadataRequest, context: Context
    ) -> pb.ServerMetadataResponse:
        async def answer() -> pb.ServerMetadataResponse:
            self._who(context)
            return pb.ServerMetadataResponse(name=NAME, version=VERSION, extensions=EXTENSIONS)

        return await _rescued(context, answer)

    async def ModelReady(  # noqa: N802
        self, message: pb.ModelReadyRequest, context: Context
    ) -> pb.ModelReadyResponse:
        async def answer() -> pb.ModelReadyResponse:
            who, headers = self._who(context), headers_of(context)
            ready = self._control.model_ready(who, message.name, message.version, headers)
            return pb.ModelReadyResponse(ready=ready)

        return await _rescued(context, answer)

    async def ModelMetadata(  # noqa: N802
        self, message: pb.ModelMetadataRequest, context: Context
    ) -> pb.ModelMetadataResponse:
        async def answer() -> pb.ModelMetadataResponse:
            who, headers = self._who(context), headers_of(context)
            found = self._control.metadata(who, message.name, message.version, headers)
            return metadata_message(found.name, found.versions, found.signature)

        return await _rescued(context, answer)

    async def ModelConfig(  # noqa: N802
        self, message: pb.ModelConfigRequest, context: Context
    ) -> pb.ModelConfigResponse:
        async def answer() -> pb.ModelConfigResponse:
            who, headers = self._who(context), headers_of(context)
            config = await self._control.config(who, message.name, message.version, headers)
            return pb.ModelConfigResponse(config=config)

        return await _rescued(context, answer)

    async def ModelStatistics(  # noqa: N802
        self, message: pb.ModelStatisticsRequest, context: Context
    ) -> pb.ModelStatisticsResponse:
        async def answer() -> pb.ModelStatisticsResponse:
            found = await self._control.statistics(
                self._who(context), message.name, message.version
            )
            return pb.ModelStatisticsResponse(model_stats=found)

        return await _rescued(context, answer)

    async def RepositoryIndex(  # noqa: N802
        self, message: pb.RepositoryIndexRequest, context: Context
    ) -> pb.RepositoryIndexResponse:
        async def answer() -> pb.RepositoryIndexResponse:
            entries = self._control.index(self._who(context), only_ready=message.ready)
            response = pb.RepositoryIndexResponse()
            for entry in entries:
                response.models.add(
                    name=entry.name,
                    version=entry.version,
                    state=entry.state,
                    reason=entry.reason,
                )
            return response

        return await _rescued(context, answer)

    async def RepositoryModelLoad(  # noqa: N802
        self, message: pb.RepositoryModelLoadRequest, context: Context
    ) -> pb.RepositoryModelLoadResponse:
        async def answer() -> pb.RepositoryModelLoadResponse:
            who = self._who(context)
            require_scope(who, ADMIN)
            if message.parameters:
                raise PenstockError(
                    Kind.UNIMPLEMENTED,
                    "parameters: models are loaded from the repository as they are",
                )
            model = message.model_name
            async with self._gate.audit.action("model.load", who, model=model):
                await self._control.load(model)
            return pb.RepositoryModelLoadResponse()

        return await _rescued(context, answer)

    async def RepositoryModelUnload(  # noqa: N802
        self, message: pb.RepositoryModelUnloadRequest, context: Context
    ) -> pb.RepositoryModelUnloadResponse:
        async def answer() -> pb.RepositoryModelUnloadResponse:
            who, model = self._who(context), message.model_name
            require_scope(who, ADMIN)
            async with self._gate.audit.action("model.unload", who, model=model):
                await self._control.unload(model)
            return pb.RepositoryModelUnloadResponse()

        return await _rescued(context, answer)

    def request(
        self,
        message: pb.ModelInferRequest,
        timeline: Timeline,
        context: Context,
        *,
        streaming: bool,
    ) -> tuple[InferRequest, bool]:
        """The decoded request, and whether its tensors were typed rather than raw."""
        timeline.principal = principal = self._who(context)
        timeline.request_id = request_id_of(context)
        decoded = oip_grpc.decode_request(message)
        request = self._gate.request(
            principal,
            timeline,
            model=decoded.model,
            version=decoded.version,
            request_id=decoded.id,
            payload=decoded.payload,
            parameters=decoded.parameters,
            headers=headers_of(context),
            traceparent=trace_of(_metadata(context, "traceparent")),
            streaming=streaming,
            time_left=context.time_remaining(),
        )
        return request, decoded.typed

    def _who(self, context: Context) -> Principal:
        authenticate = self._gate.authenticate
        credential = credential_of(context.invocation_metadata())
        if credential or not authenticate.knows_certificates:
            return authenticate(credential)
        try:
            return authenticate(credential, names_of(context))
        except PenstockError as error:
            self._gate.audit.stranger("grpc", context.peer(), error)
            raise


def headers_of(context: Context) -> Headers:
    """The call's metadata in the form of HTTP's headers; binary values are nobody's to match."""
    return [
        (name.encode(), value.encode())
        for name, value in context.invocation_metadata() or ()
        if isinstance(value, str)
    ]


def _metadata(context: Context, key: str) -> str:
    return one_value(context.invocation_metadata(), key)


def request_id_of(context: Context) -> str:
    """The caller's id of the call, as HTTP's header of that name has it."""
    return usable_id(_metadata(context, "x-request-id").encode())


async def _rescued(context: Context, answer: Callable[[], Awaitable[T]]) -> T:
    try:
        return await answer()
    except Exception as error:
        await _abort(context, error)


Trailers = tuple[tuple[str, str], ...]


def _trailers(timeline: Timeline) -> Trailers:
    trailers = cache_headers(timeline)
    if timeline.quota is not None:
        trailers += quota.told(timeline.quota)
    if timeline.arm_shown:
        trailers.append(("x-penstock-arm", f"{timeline.route}/{timeline.arm}"))
    return tuple(trailers)


async def _abort(context: Context, error: Exception, trailers: Trailers = ()) -> NoReturn:
    """Ends the call with the table's status; whatever isn't ours becomes an opaque incident."""
    if not isinstance(error, PenstockError):
        error = incident(error, "a request failed")
    if error.retry_after is not None:
        # gRPC's own name for it (A6, client retries): milliseconds.
        trailers = (
            *trailers,
            ("grpc-retry-pushback-ms", str(round(error.retry_after * 1000))),
        )
    await context.abort(error.row.grpc, error.message, trailers)
    raise AssertionError("abort raises")
