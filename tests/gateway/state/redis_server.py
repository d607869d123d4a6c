"""A real Redis for tests; without its program they are skipped."""

from pathlib import Path

from chaos import redis_server
from gateway.state.settings import StateSettings
from tests.servers import program


class RedisServer(redis_server.RedisServer):
    """`flags` are redis-server's own."""

    def __init__(self, folder: Path, *flags: str) -> None:
        super().__init__(program("redis-server"), folder, *flags)

    @property
    def settings(self) -> StateSettings:
        return StateSettings(url=self.url)
