"""Decoding off the event loop where it would hold everybody up.

Decoding holds the GIL, so threads don't help: ten megabytes of JSON stall a loop for tens of
milliseconds (benchmarks/experiments/README.md). Such bodies are decoded in processes of their own.
"""

import asyncio
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import Any, TypeVar

from protos import v2_generate
from protos.errors import Kind, PenstockError
from protos.json_reader import read_object
from protos.orphans import die_with
from protos.v2_json import Decoded, decode_request
from protos.values import Signature, Tensors

T = TypeVar("T")


class Decoder:
    """Decodes bodies; `inline` and `most` bound their JSON in bytes, `waiting` how many wait."""

    def __init__(self, inline: int, most: int, processes: int = 1, waiting: int = 8) -> None:
        self._inline = inline
        self._most = most
        self._processes = processes
        self._room = waiting
        self._pool = self._new_pool()

    def warm_up(self) -> None:
        """Starts the processes, so that the first large body needn't wait for them."""
        self._pool.submit(_nothing)

    async def infer(
        self, body: bytes, json_length: int | None, signature: Callable[[], Signature]
    ) -> Decoded:
        """The decoded request; the signature is asked for only where the body has no names."""
        length = len(body) if json_length is None else json_length
        if length <= self._inline:
            return decode_request(body, json_length, signature() if json_length == 0 else None)
        self._check(length)
        return await self._elsewhere(_decode, body, json_length)

    async def generate(self, body: bytes, signature: Signature) -> v2_generate.Decoded:
        """The decoded request of a generate endpoint."""
        if len(body) <= self._inline:
            return v2_generate.decode_request(body, signature)
        self._check(len(body))
        return await self._elsewhere(_decode_generate, body, signature)

    async def json(self, body: bytes) -> dict[str, Any]:
        """The body as an object of OpenAI's API, strictly read."""
        if len(body) <= self._inline:
            return read_object(body)
        self._check(len(body), "send less in one request")
        return await self._elsewhere(read_object, body)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _check(self, length: int, instead: str = "send tensors in the binary form") -> None:
        if length > self._most:
            raise PenstockError(
                Kind.TOO_LARGE,
                f"the JSON has {length} bytes, at most {self._most} are taken; {instead}",
            )

    async def _elsewhere(self, decode: Callable[..., T], *arguments: object) -> T:
        if not self._room:
            raise PenstockError(
                Kind.OVERLOADED, "too many large bodies are being decoded", retry_after=1.0
            )
        self._room -= 1
        pool = self._pool
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, decode, *arguments)
        except BrokenProcessPool:
            if self._pool is pool:
                self._pool = self._new_pool()
            raise PenstockError(
                Kind.UNAVAILABLE, "the decoder of large bodies was restarted", retry_after=1.0
            ) from None
        finally:
            self._room += 1

    def _new_pool(self) -> ProcessPoolExecutor:
        # Spawned: a forked child would inherit gRPC's threads and every socket.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(
            self._processes, mp_context=context, initializer=die_with, initargs=(os.getpid(),)
        )


def _decode(body: bytes, json_length: int | None) -> Decoded:
    decoded = decode_request(body, json_length)
    tensors = tuple(replace(t, data=bytes(t.data)) for t in decoded.payload.tensors)
    return replace(decoded, payload=Tensors(tensors, decoded.payload.wanted))


def _decode_generate(body: bytes, signature: Signature) -> v2_generate.Decoded:
    decoded = v2_generate.decode_request(body, signature)
    tensors = tuple(replace(t, data=bytes(t.data)) for t in decoded.payload.tensors)
    return replace(decoded, payload=Tensors(tensors))


def _nothing() -> None:
    return None
