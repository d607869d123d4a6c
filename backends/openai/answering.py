"""One call under way: its parts to the gateway, no more of them than it has room for."""

import asyncio
from contextlib import aclosing

import httpx

from backends.language.parts import Parts
from backends.openai.forward import Forward
from backends.openai.upstream import broken
from protos.errors import Kind, PenstockError
from protos.exchange_calls import Call
from protos.incident import incident


class Answering:
    """Answers a call with what `forward` gets for it."""

    def __init__(self, call: Call, forward: Forward, parts: Parts) -> None:
        self._call = call
        self._forward = forward
        self._parts = parts
        self._more = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(self._run(), name="an answer")

    def cancel(self) -> None:
        """The caller is gone: the server is told by the end of its connection."""
        self.task.cancel()

    def credit(self, room: int) -> None:
        self._parts.room += room
        self._more.set()

    async def _run(self) -> None:
        left = self._call.remaining_us / 1e6 if self._call.remaining_us else None
        try:
            async with asyncio.timeout(left):
                if self._forward.streaming:
                    await self._stream()
                else:
                    self._parts.send(await self._forward.answer(), final=True)
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
                self._parts.send(content, final=False)
        self._parts.send((), final=True)

    async def _room_for_more(self) -> None:
        """Until the gateway's client has read: the server waits, as its connection fills up."""
        while self._parts.room <= 0:
            self._more.clear()
            await self._more.wait()

    def _fail(self, error: PenstockError) -> None:
        self._parts.fail(error, executed=self._forward.accepted)
