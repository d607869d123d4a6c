"""The time from a gateway's first beats to its first answer, of one that lets requests wait."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from chaos.experiments import gateway_restarted
from chaos.experiments.gateway_restarted import from_first_beat_to_first_answer

HELD = 0.3  # seconds from the first beat until it answers
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@dataclass
class SlowToAnswer:
    """What knows of its backends from the third look on, and lets every request wait till later."""

    port: int
    beaten: asyncio.Event
    loop: asyncio.AbstractEventLoop
    looks: list[float] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def token(self, *scopes: str) -> str:
        return "token"

    def endpoints(self) -> list[dict[str, Any]]:
        self.looks.append(self.loop.time())
        if len(self.looks) < 3:
            return []
        self.loop.call_soon_threadsafe(self.beaten.set)
        return [{"instance": "b0"}]


async def test_beats_are_seen_while_the_first_request_waits() -> None:
    beaten = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await beaten.wait()
        await asyncio.sleep(HELD)
        writer.write(ANSWER)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        mesh = SlowToAnswer(server.sockets[0].getsockname()[1], beaten, loop)
        took = await from_first_beat_to_first_answer(mesh)  # type: ignore[arg-type]
        ended = loop.time()

    assert HELD <= took <= ended - mesh.looks[0]


async def test_beats_that_come_while_nobody_looks_count_from_the_last_look(monkeypatch) -> None:
    monkeypatch.setattr(gateway_restarted, "LOOK", 60.0)
    beaten = asyncio.Event()
    beaten.set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(HELD)
        writer.write(ANSWER)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        loop = asyncio.get_running_loop()
        mesh = SlowToAnswer(server.sockets[0].getsockname()[1], beaten, loop)
        took = await from_first_beat_to_first_answer(mesh)  # type: ignore[arg-type]

    assert took > 0.0
