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

from gateway.children import die_with
from protos.errors import Kind, PenstockError
from protos.v2_json import Decoded, decode_request
from protos.values import Signature, Tensors


class Decoder:
    """Decodes infer requests; `inline` and `most` bound their JSON in bytes."""

    def __init__(self, inline: int, most: int, processes: int = 1) -> None:
        self._inline = inline
        self._most = most
        self._processes = processes
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
        if length > self._most:
            raise PenstockError(
                Kind.TOO_LARGE,
                f"the JSON has {length} bytes, at most {self._most} are taken; "
                "send tensors in the binary form",
            )
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, _decode, body, json_length)
        except BrokenProcessPool:
            self._pool = self._new_pool()
            raise PenstockError(
                Kind.UNAVAILABLE, "the decoder of large bodies was restarted", retry_after=1.0
            ) from None

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

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


def _nothing() -> None:
    return None
