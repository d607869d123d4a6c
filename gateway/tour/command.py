"""`penstock tour`."""

import asyncio
import time

from rich.console import Console

from gateway.client import GatewayClient
from gateway.command import DEFAULT_FILE, File, Offset, load_settings
from gateway.config import Config
from gateway.credentials import Credentials
from gateway.tour import canary, crash, digits, privacy, ratio, shadow
from gateway.tour.guide import Guide
from gateway.tour.site import Site

STOPS = (digits, shadow, canary, privacy, crash, ratio)


def tour(file: File = DEFAULT_FILE, port_offset: Offset = None) -> None:
    """Shows on the running demo what Penstock does, in a minute and a half."""
    asyncio.run(_tour(load_settings(file, port_offset)))


async def _tour(config: Config) -> None:
    credentials = Credentials(config)
    guide = Guide(Console(highlight=False))
    began = time.monotonic()
    async with GatewayClient(config, lambda: credentials.admin(time.time())) as client:
        site = Site(config, credentials, client)
        for stop in STOPS:
            await stop.visit(site, guide)
        guide.stop(f"That was it, in {time.monotonic() - began:.0f} s. Look around yourself:")
        guide.link("the console", await client.console_link())
        guide.link("shadow report", (site.folder / shadow.PAGE).resolve().as_uri())
