"""A link to a running gateway's console, for who works at a terminal."""

import asyncio

from gateway.client import GatewayClient
from gateway.config import Config
from protos.errors import PenstockError


def console_link(config: Config, token: str) -> str:
    """A line with the link for the token's bearer, or with why there is none."""

    async def ask() -> str:
        async with GatewayClient(config, lambda: token) as client:
            return await client.console_link()

    try:
        link = asyncio.run(ask())
    except PenstockError as error:
        return f"(no link to the console: {error.message})"
    return f"The console, for one browser within ten minutes: {link}"
