"""A TCP proxy that passes bytes on after a delay that can be changed while it runs."""

import asyncio
import threading
from types import TracebackType
from typing import Self

CHUNK = 64 * 1024


class DelayProxy:
    """Listens on a free loopback port; `delay` is in seconds and holds for each direction's half.

    It runs on a thread with an event loop of its own. Bytes keep their order and distance: a delay
    adds latency and takes no bandwidth.
    """

    def __init__(self) -> None:
        self.delay = 0.0
        self.target = 0  # the port behind it; set before anybody connects
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(5.0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(5.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner, outer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        for source, sink in ((reader, outer), (inner, writer)):
            task = asyncio.get_running_loop().create_task(self._pass(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        due = 0.0
        try:
            while chunk := await source.read(CHUNK):
                # Never before what came earlier, also when the delay has shrunk meanwhile.
                due = max(due, loop.time() + self.delay / 2)
                loop.call_at(due, _write, sink, chunk)
        finally:
            loop.call_at(max(due, loop.time()), sink.close)


def _write(sink: asyncio.StreamWriter, chunk: bytes) -> None:
    if not sink.is_closing():
        sink.write(chunk)
