"""One call under way: its parts to the gateway, no more of them than it has room for."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import httpx

from backends.exchange import Answer
from backends.openai.forward import Content, Forward
from backends.openai.roster import VERSION
from backends.openai.upstream import broken
from protos import exchange_parts
from protos.errors import Kind, PenstockError
from protos.exchange_calls import Call
from protos.exchange_objects import bytes_of
from protos.incident import incident
from protos.values import OpenAi, Tensors


class Answering:
    """Answers a call with what `forward` gets for it.

    `sharing` says how many calls have the server between them now, `queued` how many of a call's
    first seconds it has waited there, and `begun` is told after how many the first part came.
    """

    def __init__(
        self,
        call: Call,
        forward: Forward,
        answer: Answer,
        *,
        clock: Callable[[], float],
        sharing: Callable[[], int],
        queued: Callable[[float], float],
        begun: Callable[[float], None],
    ) -> None:
        self._call = call
        self._forward = forward
        self._answer = answer
        self._clock = clock
        self._sharing = sharing
        self._queued = queued
        self._begun = begun
        self._arrival = clock()
        self._queue = 0.0
        self._first = True
        self._room = exchange_parts.INITIAL_CREDIT
        self._more = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(self._run(), name="an answer")

    def cancel(self) -> None:
        """The caller is gone: the server is told by the end of its connection."""
        self.task.cancel()

    def credit(self, room: int) -> None:
        self._room += room
        self._more.set()

    async def _run(self) -> None:
        left = self._call.remaining_us / 1e6 if self._call.remaining_us else None
        try:
            async with asyncio.timeout(left):
                if self._forward.streaming:
                    await self._stream()
                else:
                    self._part(await self._forward.answer(), final=True)
        except PenstockError as error:
            self._fail(error)
        except TimeoutError:
            self._fail(PenstockError(Kind.DEADLINE, "the deadline passed in the model's server"))
        except httpx.HTTPError:
            self._fail(broken())
        except Exception as raised:
            self._fail(incident(raised, "an answer could not be passed on"))

    async def _stream(self) -> None:
        async with aclosing(self._forward.chunks()) as chunks:
            async for content in chunks:
                await self._room_for_more()
                self._part(content, final=False)
        self._part((), final=True)

    async def _room_for_more(self) -> None:
        """Until the gateway's client has read: the server waits, as its connection fills up."""
        while self._room <= 0:
            self._more.clear()
            await self._more.wait()

    def _part(self, content: Content, *, final: bool) -> None:
        elapsed = self._clock() - self._arrival
        if self._first:
            self._first = False
            self._queue = self._queued(elapsed)
            self._begun(elapsed)
        part = exchange_parts.encode_part(
            self._call.id,
            content,
            VERSION,
            final=final,
            queue_us=int(self._queue * 1e6),
            compute_us=int((elapsed - self._queue) * 1e6),
            batch_rows=self._sharing(),
        )
        self._room -= bytes_of(content if isinstance(content, OpenAi) else Tensors(content))
        self._answer(part, final)

    def _fail(self, error: PenstockError) -> None:
        accepted = self._forward.accepted
        self._answer(exchange_parts.encode_failure(self._call.id, error, executed=accepted), True)
