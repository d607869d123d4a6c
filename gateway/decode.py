"""Decoding and encoding off the event loop where it would hold everybody up.

Both hold the GIL, so threads don't help: ten megabytes of JSON stall a loop for tens of
milliseconds (benchmarks/experiments/README.md). Such bodies are left to processes of their own.
"""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import resource_tracker
from typing import TypeVar

from protos import v2_generate
from protos.errors import Kind, PenstockError
from protos.json_reader import read_object
from protos.openai.embeddings import Encoder, encode_vectors
from protos.openai.request import Asked, Read
from protos.orphans import die_with
from protos.v2_json import Decoded, decode_request
from protos.values import Part, Signature, Tensors

T = TypeVar("T")

# A prompt in tokens is all numbers, each an object: two megabytes of them hold a loop up for 0.1 s.
OPENAI_INLINE = 256 * 1024
# Numbers of tensors are read into buffers at a nanosecond each, but lists and texts become objects:
# a megabyte of empty ones holds a loop up for 0.2 s. Those of OpenAI's bodies are checked one by
# one, at some microseconds each. Bodies up to the given bytes are too short to hold too many.
MOST_OBJECTS, UNCOUNTED = 16 * 1024, 32 * 1024
OPENAI_MOST_OBJECTS, OPENAI_UNCOUNTED = 1024, 4 * 1024
# Of vectors, which become 20 bytes of JSON for each 4.
VECTORS_INLINE = 256 * 1024


class Decoder:
    """Decodes bodies; `inline` and `most` bound their JSON in bytes, `waiting` how many wait.

    Of OpenAI's bodies fewer bytes are read inline, and of all only those with few enough objects.
    """

    def __init__(self, inline: int, most: int, processes: int = 1, waiting: int = 8) -> None:
        self._inline = inline
        self._most = most
        self._processes = processes
        self._room = waiting
        self._pool = self._new_pool()

    def warm_up(self) -> None:
        """Starts the processes, so that the first large body needn't wait for them."""
        # A process inherits what is blocked, so that Ctrl-C finds it deaf before it has begun. The
        # tracker, which unblocks the signal when it starts, has to be there first.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._pool.submit(_nothing)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    async def infer(
        self, body: bytes, json_length: int | None, signature: Callable[[], Signature]
    ) -> Decoded:
        """The decoded request; the signature is asked for only where the body has no names."""
        length = len(body) if json_length is None else json_length
        if length <= self._inline and _quick(body, length):
            return decode_request(body, json_length, signature() if json_length == 0 else None)
        self._check(length)
        return await self._elsewhere(_decode, body, json_length)

    async def generate(self, body: bytes, signature: Signature) -> v2_generate.Decoded:
        """The decoded request of a generate endpoint."""
        if len(body) <= self._inline and _quick(body, len(body)):
            return v2_generate.decode_request(body, signature)
        self._check(len(body))
        return await self._elsewhere(_decode_generate, body, signature)

    async def openai(self, body: bytes, read: Read) -> Asked:
        """The body as a request of OpenAI's API; `read` is a function of `protos.openai.request`.

        Raises what that raises, and INVALID for what is no strict JSON.
        """
        if len(body) <= min(OPENAI_INLINE, self._inline) and _quick_chat(body):
            return _read(body, read)
        self._check(len(body), "send less in one request")
        return await self._elsewhere(_read, body, read)

    async def vectors(self, encoder: Encoder, asked: Asked, part: Part) -> bytes:
        """The body of an answer with embeddings; see `protos.openai.embeddings`."""
        size = sum([len(tensor.data) for tensor in part.payload.tensors])
        # What is computed is worth a stall when everybody else waits as well.
        if size <= VECTORS_INLINE or not self._room:
            return encode_vectors(encoder, asked, part)
        owned = replace(part, payload=_owned(Tensors(part.payload.tensors)))
        return await self._elsewhere(encode_vectors, encoder, asked, owned)

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
                Kind.OVERLOADED, "too many large bodies are under way", retry_after=1.0
            )
        self._room -= 1
        pool = self._pool
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, decode, *arguments)
        except BrokenProcessPool:
            if self._pool is pool:
                self._pool = self._new_pool()
            raise PenstockError(
                Kind.UNAVAILABLE, "the process for large bodies was restarted", retry_after=1.0
            ) from None
        finally:
            self._room += 1

    def _new_pool(self) -> ProcessPoolExecutor:
        # Spawned: a forked child would inherit gRPC's threads and every socket.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(
            self._processes, mp_context=context, initializer=_begin, initargs=(os.getpid(),)
        )


def _quick(body: bytes, length: int) -> bool:
    """Whether so many bytes of JSON with tensors hold few enough lists, objects and texts."""
    if length <= UNCOUNTED:
        return True
    lists = body.count(b"[", 0, length) + body.count(b"{", 0, length)
    return lists + body.count(b'"', 0, length) // 2 <= MOST_OBJECTS


def _quick_chat(body: bytes) -> bool:
    """Whether OpenAI's body holds few enough lists and objects; its texts cost little."""
    if len(body) <= OPENAI_UNCOUNTED:
        return True
    return body.count(b"[") + body.count(b"{") <= OPENAI_MOST_OBJECTS


def _begin(parent: int) -> None:
    # Ctrl-C reaches all processes of a terminal; the gateway finishes what is under way first.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with(parent)


def _decode(body: bytes, json_length: int | None) -> Decoded:
    decoded = decode_request(body, json_length)
    return replace(decoded, payload=_owned(decoded.payload))


def _decode_generate(body: bytes, signature: Signature) -> v2_generate.Decoded:
    decoded = v2_generate.decode_request(body, signature)
    return replace(decoded, payload=_owned(decoded.payload))


def _read(body: bytes, read: Read) -> Asked:
    return read(read_object(body), len(body))


def _owned(payload: Tensors) -> Tensors:
    """Views can't be sent to another process."""
    tensors = tuple([replace(tensor, data=bytes(tensor.data)) for tensor in payload.tensors])
    return Tensors(tensors, payload.wanted)


def _nothing() -> None:
    return None
