"""In place of the Redis of two gateways somebody else answers, in its form or in none."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chaos.experiment import Bench, Experiment
from chaos.probe import Need
from chaos.shared_state import Shared, befall

ANSWERS = (
    b"+OK\r\n",
    b":7\r\n",
    b"$-1\r\n",
    b"*2\r\n:1\r\n$3\r\nabc\r\n",
    b"$11\r\nnan nan nan\r\n",
    b"$0\r\n\r\n",
    b"-ERR no\r\n",
    b"$99999999\r\nshort",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"\x00\xff\x00\xff",
)


@asynccontextmanager
async def nonsense(shared: Shared) -> AsyncIterator[None]:
    answers = itertools.cycle(ANSWERS)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(4096):
                writer.write(next(answers))
        except ConnectionError:
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    shared.proxy.target = server.sockets[0].getsockname()[1]
    await shared.proxy.cut()
    try:
        yield
    finally:
        server.close()
        shared.proxy.target = shared.server.port
        await shared.proxy.cut()


async def run(bench: Bench) -> None:
    await befall(bench, "nonsense in Redis' place", nonsense, proxied=True)


EXPERIMENT = Experiment(
    "redis-talks-nonsense", 6, "Redis answers nonsense", run, needs=(Need.REDIS,)
)
