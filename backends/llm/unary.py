"""The Open Inference Protocol of language models, loaded at run time as their adapters are."""

import asyncio
from collections.abc import Callable
from typing import Any

from grpc import aio

from backends.language.unary import Unary
from backends.llm.models import Models
from protos import open_inference_pb2 as pb
from protos.errors import PenstockError

Context = aio.ServicerContext[Any, Any]


class LlmUnary(Unary):
    """`changed` is called when other models are served than before."""

    def __init__(self, models: Models, changed: Callable[[], None]) -> None:
        super().__init__(models, "llm")
        self._models = models
        self._changed = changed

    async def RepositoryModelLoad(  # noqa: N802 (the service's names, here and below)
        self, message: pb.RepositoryModelLoadRequest, context: Context
    ) -> pb.RepositoryModelLoadResponse:
        await self._change(self._models.load, message.model_name, context)
        return pb.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(  # noqa: N802
        self, message: pb.RepositoryModelUnloadRequest, context: Context
    ) -> pb.RepositoryModelUnloadResponse:
        await self._change(self._models.unload, message.model_name, context)
        return pb.RepositoryModelUnloadResponse()

    async def _change(self, change: Callable[[str], None], name: str, context: Context) -> None:
        try:
            await asyncio.to_thread(change, name)
            self._changed()
        except PenstockError as error:
            await context.abort(error.row.grpc, error.message)
