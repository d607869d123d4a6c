"""The gRPC face: the Open Inference Protocol with Triton's streaming and repository calls."""

import asyncio
from collections.abc import AsyncIterator

from gateway.gate import client_gone
from gateway.grpc_call import (
    Context,
    abort,
    begin,
    caller_of,
    headers_of,
    request_id_of,
    trailers_of,
)
from gateway.grpc_control import ControlCalls
from gateway.grpc_stream import InferStream
from protos import oip_grpc
from protos import open_inference_pb2 as pb
from protos.errors import Kind, PenstockError
from protos.timeline import Timeline
from protos.values import InferRequest


class GrpcFace(ControlCalls):
    """`inference.GRPCInferenceService`; `abort` is where errors become gRPC statuses."""

    async def ModelInfer(  # noqa: N802 (the service's name)
        self, message: pb.ModelInferRequest, context: Context
    ) -> pb.ModelInferResponse:
        timeline = begin(context, "ModelInfer")
        model = message.model_name
        try:
            request, typed = self.request(message, timeline, context, streaming=False)
            timeline.mark("decode", self._gate.clock())
            reply = await self._gate.service(request)
            timeline.mark("serve", self._gate.clock())
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
            await abort(context, error, trailers_of(timeline))
        self._gate.observe(model, "grpc", timeline, None)
        context.set_trailing_metadata(trailers_of(timeline))
        return answer

    async def ModelStreamInfer(  # noqa: N802
        self, messages: AsyncIterator[pb.ModelInferRequest], context: Context
    ) -> None:
        try:
            principal = caller_of(self._gate, context)
        except PenstockError as error:
            await abort(context, error)
        stream = InferStream(
            self._gate,
            principal,
            headers_of(context),
            request_id_of(context),
        )
        try:
            await stream.serve(context)
        except* PenstockError as group:
            await abort(context, group.exceptions[0])

    def request(
        self,
        message: pb.ModelInferRequest,
        timeline: Timeline,
        context: Context,
        *,
        streaming: bool,
    ) -> tuple[InferRequest, bool]:
        """The decoded request, and whether its tensors were typed rather than raw."""
        timeline.principal = principal = caller_of(self._gate, context)
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
            streaming=streaming,
            time_left=context.time_remaining(),
        )
        return request, decoded.typed
