"""What the gRPC face tells of the server and its models, and the repository's calls."""

from gateway.control import Control
from gateway.gate import Gate
from gateway.grpc_call import Context, caller_of, headers_of, rescued
from gateway.identity import EXTENSIONS, NAME, VERSION
from policies.authorize import ADMIN, require_scope
from protos import open_inference_pb2 as pb
from protos.errors import Kind, PenstockError
from protos.names import check_text
from protos.oip_metadata import metadata_message

Named = (
    pb.ModelReadyRequest
    | pb.ModelMetadataRequest
    | pb.ModelConfigRequest
    | pb.ModelStatisticsRequest
)


class ControlCalls:
    """The part of `inference.GRPCInferenceService` that infers nothing.

    `rescued` is where errors become gRPC statuses.
    """

    def __init__(self, gate: Gate, control: Control) -> None:
        self._gate = gate
        self._control = control

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
            caller_of(self._gate, context)
            return pb.ServerMetadataResponse(name=NAME, version=VERSION, extensions=EXTENSIONS)

        return await rescued(context, answer)

    async def ModelReady(  # noqa: N802
        self, message: pb.ModelReadyRequest, context: Context
    ) -> pb.ModelReadyResponse:
        async def answer() -> pb.ModelReadyResponse:
            who, headers = caller_of(self._gate, context), headers_of(context)
            ready = self._control.model_ready(who, *_named(message), headers)
            return pb.ModelReadyResponse(ready=ready)

        return await rescued(context, answer)

    async def ModelMetadata(  # noqa: N802
        self, message: pb.ModelMetadataRequest, context: Context
    ) -> pb.ModelMetadataResponse:
        async def answer() -> pb.ModelMetadataResponse:
            who, headers = caller_of(self._gate, context), headers_of(context)
            found = self._control.metadata(who, *_named(message), headers)
            return metadata_message(found.name, found.versions, found.signature)

        return await rescued(context, answer)

    async def ModelConfig(  # noqa: N802
        self, message: pb.ModelConfigRequest, context: Context
    ) -> pb.ModelConfigResponse:
        async def answer() -> pb.ModelConfigResponse:
            who, headers = caller_of(self._gate, context), headers_of(context)
            config = await self._control.config(who, *_named(message), headers)
            return pb.ModelConfigResponse(config=config)

        return await rescued(context, answer)

    async def ModelStatistics(  # noqa: N802
        self, message: pb.ModelStatisticsRequest, context: Context
    ) -> pb.ModelStatisticsResponse:
        async def answer() -> pb.ModelStatisticsResponse:
            who = caller_of(self._gate, context)
            found = await self._control.statistics(who, *_named(message))
            return pb.ModelStatisticsResponse(model_stats=found)

        return await rescued(context, answer)

    async def RepositoryIndex(  # noqa: N802
        self, message: pb.RepositoryIndexRequest, context: Context
    ) -> pb.RepositoryIndexResponse:
        async def answer() -> pb.RepositoryIndexResponse:
            entries = self._control.index(caller_of(self._gate, context), only_ready=message.ready)
            response = pb.RepositoryIndexResponse()
            for entry in entries:
                response.models.add(
                    name=entry.name,
                    version=entry.version,
                    state=entry.state,
                    reason=entry.reason,
                )
            return response

        return await rescued(context, answer)

    async def RepositoryModelLoad(  # noqa: N802
        self, message: pb.RepositoryModelLoadRequest, context: Context
    ) -> pb.RepositoryModelLoadResponse:
        async def answer() -> pb.RepositoryModelLoadResponse:
            who = caller_of(self._gate, context)
            require_scope(who, ADMIN)
            if message.parameters:
                raise PenstockError(
                    Kind.UNIMPLEMENTED,
                    "parameters: models are loaded from the repository as they are",
                )
            model = check_text(message.model_name, "model_name")
            async with self._gate.audit.action("model.load", who, model=model):
                await self._control.load(model)
            return pb.RepositoryModelLoadResponse()

        return await rescued(context, answer)

    async def RepositoryModelUnload(  # noqa: N802
        self, message: pb.RepositoryModelUnloadRequest, context: Context
    ) -> pb.RepositoryModelUnloadResponse:
        async def answer() -> pb.RepositoryModelUnloadResponse:
            who = caller_of(self._gate, context)
            require_scope(who, ADMIN)
            model = check_text(message.model_name, "model_name")
            async with self._gate.audit.action("model.unload", who, model=model):
                await self._control.unload(model)
            return pb.RepositoryModelUnloadResponse()

        return await rescued(context, answer)


def _named(message: Named) -> tuple[str, str]:
    """Model and version. Refusals repeat them, and a longer text than this is no status's."""
    return check_text(message.name, "name"), check_text(message.version, "version")
