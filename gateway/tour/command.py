"""`penstock tour`."""

import asyncio
import signal
import time

import typer
from rich.console import Console

from gateway.client import GatewayClient
from gateway.command import DEFAULT_FILE, File, Offset, load_settings
from gateway.config import Config
from gateway.credentials import Credentials
from gateway.tour import canary, crash, digits, privacy, ratio, shadow
from gateway.tour.guide import Guide
from gateway.tour.site import Site, no_demo
from protos.errors import Kind, PenstockError

STOPS = (digits, shadow, canary, privacy, crash, ratio)
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def tour(file: File = DEFAULT_FILE, port_offset: Offset = None) -> None:
    """Shows on the running demo what Penstock does, in a minute and a half."""
    received = asyncio.run(_until_ended(load_settings(file, port_offset)))
    if received is not None:
        raise typer.Exit(128 + received)  # as shells have it


async def _until_ended(config: Config) -> int | None:
    """Goes on the tour; the signal that ended it early, None for none.

    Each of them cancels it, so that what it has put into the demo's folders is taken out again.
    """
    received: list[int] = []
    touring = asyncio.create_task(_tour(config), name="tour")

    def end(number: int) -> None:
        received.append(number)
        touring.cancel()

    for number in _ENDS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it for SIGHUP
            asyncio.get_running_loop().add_signal_handler(number, end, number)
    try:
        await touring
    except asyncio.CancelledError:
        if not received:
            raise
    return received[0] if received else None


async def _tour(config: Config) -> None:
    credentials = Credentials(config)
    guide = Guide(Console(highlight=False))
    began = time.monotonic()
    async with GatewayClient(config, lambda: credentials.admin(time.time())) as client:
        await _meet(client)
        site = Site(config, credentials, client)
        with site.alone():
            await site.clear()
            for stop in STOPS:
                await stop.visit(site, guide)
        guide.stop(f"That was it, in {time.monotonic() - began:.0f} s. Look around yourself:")
        link = await client.console_link() if guide.shown else "penstock token --admin"
        guide.link("the console", link)
        guide.link("shadow report", (site.folder / shadow.PAGE).resolve().as_uri())


async def _meet(client: GatewayClient) -> None:
    """Raises UNAVAILABLE where no gateway answers, before anything is announced."""
    try:
        await client.routes()
    except PenstockError as error:
        if error.kind is Kind.UNAVAILABLE:
            raise no_demo(error.message) from None
        raise
