"""Reads the event stream of a model server, as strictly as its servers' habits allow."""

from typing import Any

import orjson

from protos.errors import Kind, PenstockError
from protos.openai.errors import broken_off
from protos.sse import Parser
from protos.values import JsonObject


class Chunks:
    """Chunks in, however the bytes were cut; knows whether the stream was whole when it ends.

    A stream is whole with `[DONE]`, or, as not all servers send that, when every choice in it has
    said why it finished.
    """

    def __init__(self) -> None:
        self._parser = Parser()
        self._choices: set[int] = set()
        self._finished: set[int] = set()
        self.done = False

    def feed(self, data: bytes) -> list[JsonObject]:
        """The chunks that these bytes complete.

        Raises PenstockError: what the server says went wrong, or BAD_REPLY for what is no chunk.
        """
        found: list[JsonObject] = []
        for event in self._parser.feed(data):
            if self.done:
                break
            if event.data == "[DONE]":
                self.done = True
            else:
                found.append(self._chunk(event.data))
        return found

    def end(self) -> None:
        """The server has ended the stream; raises PenstockError BAD_REPLY if it wasn't whole."""
        if not self.done and (not self._choices or self._choices > self._finished):
            raise PenstockError(Kind.BAD_REPLY, "the model's server cut the stream off")
        self.done = True

    def _chunk(self, data: str) -> JsonObject:
        try:
            chunk: Any = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise _no_chunk() from None
        if not isinstance(chunk, dict):
            raise _no_chunk()
        failure = broken_off(chunk)
        if failure is not None:
            raise failure
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            raise _no_chunk()
        for choice in choices:
            if not isinstance(choice, dict) or not isinstance(index := choice.get("index", 0), int):
                raise _no_chunk()
            self._choices.add(index)
            if choice.get("finish_reason"):
                self._finished.add(index)
        return chunk


def _no_chunk() -> PenstockError:
    return PenstockError(Kind.BAD_REPLY, "the model's server sent what is no chunk of an answer")
