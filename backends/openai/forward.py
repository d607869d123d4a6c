"""One call on its way to the model server and back, whole or in chunks."""

from collections.abc import AsyncGenerator
from typing import Any

import orjson

from backends.language.parts import Content
from backends.language.texts import prompt_of, text_of
from backends.openai.asking import Asking
from backends.openai.upstream import Upstream, whole
from protos.errors import Kind, PenstockError
from protos.exchange_calls import Call
from protos.openai.chunks import Chunks
from protos.values import Chat, Embedding, JsonObject, OpenAi, Prompt

PATHS: dict[type[OpenAi], str] = {
    Chat: "/chat/completions",
    Prompt: "/completions",
    Embedding: "/embeddings",
}

# What a part holds: an object, or the tensors of a call that came with some.


class Forward:
    """Asks for what a call wants; `accepted` once the server has begun to answer it."""

    def __init__(
        self, upstream: Upstream, habits: "Habits", asking: Asking, call: Call, model: str
    ) -> None:
        """`model` is the server's name for the call's model. Raises INVALID."""
        self._upstream = upstream
        self._habits = habits
        self._traceparent = call.traceparent
        self.asked = call.openai or prompt_of(call)
        self._tensors = call.openai is None
        self._body = asking.body(call, self.asked, model)
        self.streaming = call.streaming and self._body.get("stream") is True
        self.accepted = False

    async def answer(self) -> Content:
        """The whole answer. Raises PenstockError and httpx.HTTPError."""
        async with self._upstream.call(self._path, self._body, self._traceparent) as response:
            self.accepted = True
            body = _object(await whole(response))
        return self._content(body)

    async def chunks(self) -> AsyncGenerator[Content, None]:
        """The chunks as they come; leaving early closes the server's stream. Raises as `answer`."""
        habits = self._habits
        if not habits.tells_usage:
            async for content in self._chunks(self._body):
                yield content
            return
        # Limits go by what a stream took, whoever asked for it. The client's options stay here, or
        # one that the server refuses would look as if it had none.
        body = {**self._body, "stream_options": {"include_usage": True}}
        try:
            async for content in self._chunks(body):
                yield content
        except PenstockError as error:
            if self.accepted or not _about_options(error):
                raise
            async for content in self._chunks(self._body):
                habits.tells_usage = False  # as the request was otherwise in order
                yield content

    async def _chunks(self, body: dict[str, Any]) -> AsyncGenerator[Content, None]:
        async with self._upstream.call(self._path, body, self._traceparent) as response:
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                raise PenstockError(Kind.BAD_REPLY, "the model's server doesn't stream")
            self.accepted = True
            reader = Chunks()
            async for data in response.aiter_bytes():
                for chunk in reader.feed(data):
                    content = self._content(chunk)
                    if content:
                        yield content
                if reader.done:
                    break
            reader.end()

    def _content(self, body: JsonObject) -> Content:
        if self._tensors:
            return text_of(body, streaming=self.streaming)
        return type(self.asked)(body)

    @property
    def _path(self) -> str:
        return PATHS[type(self.asked)]


class Habits:
    """What one server has been found to do otherwise than others."""

    def __init__(self) -> None:
        self.tells_usage = True


def _about_options(error: PenstockError) -> bool:
    about = "stream_options" in error.message or error.param.startswith("stream_options")
    return error.kind is Kind.INVALID and about


def _object(data: bytes) -> JsonObject:
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise PenstockError(Kind.BAD_REPLY, "the model's server answered with something else")
    return found
