"""The Open Inference Protocol of a language model's backend, as far as gateways ask for it."""

from collections.abc import Sequence
from typing import Any, Protocol

from grpc import aio

from backends.language.models import VERSION
from backends.language.texts import SIGNATURE
from protos import open_inference_pb2 as pb
from protos.errors import Kind, PenstockError
from protos.oip_metadata import data_type, metadata_message
from protos.open_inference_pb2_grpc import GRPCInferenceServiceServicer

Context = aio.ServicerContext[Any, Any]


class Named(Protocol):
    @property
    def name(self) -> str: ...


class Listing(Protocol):
    """The models that there are."""

    def entries(self) -> Sequence[Named]: ...

    def get(self, name: str, version: str) -> Named:
        """The READY model; raises NOT_FOUND or UNAVAILABLE."""
        ...


class Unary(GRPCInferenceServiceServicer):  # type: ignore[misc]  # generated, without types
    """Interface, configuration and index; callers were admitted before (backends/guard.py).

    Models are loaded with their server, so loading is not for us; inference takes the exchange.
    """

    def __init__(self, roster: Listing, backend: str = "openai") -> None:
        self._roster = roster
        self._backend = backend

    async def ServerLive(  # noqa: N802 (the service's names, here and below)
        self, message: pb.ServerLiveRequest, context: Context
    ) -> pb.ServerLiveResponse:
        return pb.ServerLiveResponse(live=True)

    async def ModelMetadata(  # noqa: N802
        self, message: pb.ModelMetadataRequest, context: Context
    ) -> pb.ModelMetadataResponse:
        await self._check(message.name, message.version, context)
        return metadata_message(message.name, [VERSION], SIGNATURE)

    async def ModelConfig(  # noqa: N802
        self, message: pb.ModelConfigRequest, context: Context
    ) -> pb.ModelConfigResponse:
        await self._check(message.name, message.version, context)
        config = pb.ModelConfig(
            name=message.name, platform=SIGNATURE.platform, backend=self._backend
        )
        for specs, field in ((SIGNATURE.inputs, config.input), (SIGNATURE.outputs, config.output)):
            for spec in specs:
                kind = pb.DataType.Name(data_type(spec.datatype))
                field.add(name=spec.name, data_type=kind, dims=spec.shape)
        config.model_transaction_policy.decoupled = SIGNATURE.decoupled
        return pb.ModelConfigResponse(config=config)

    async def ModelStatistics(  # noqa: N802
        self, message: pb.ModelStatisticsRequest, context: Context
    ) -> pb.ModelStatisticsResponse:
        # The server keeps its own, on a metrics page of its own.
        return pb.ModelStatisticsResponse()

    async def RepositoryModelLoad(  # noqa: N802
        self, message: pb.RepositoryModelLoadRequest, context: Context
    ) -> pb.RepositoryModelLoadResponse:
        await self._refuse_change(message.model_name, context)
        return pb.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(  # noqa: N802
        self, message: pb.RepositoryModelUnloadRequest, context: Context
    ) -> pb.RepositoryModelUnloadResponse:
        await self._refuse_change(message.model_name, context)
        return pb.RepositoryModelUnloadResponse()

    async def _check(self, model: str, version: str, context: Context) -> None:
        try:
            self._roster.get(model, version)
        except PenstockError as error:
            await context.abort(error.row.grpc, error.message)

    async def _refuse_change(self, model: str, context: Context) -> None:
        if all(entry.name != model for entry in self._roster.entries()):
            await self._check(model, "", context)
        error = PenstockError(Kind.UNIMPLEMENTED, "its own server loads and unloads this model")
        await context.abort(error.row.grpc, error.message)
