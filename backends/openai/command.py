"""`penstock backend openai`: joins a server of OpenAI's API to the mesh."""

import logging
import shlex
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from backends.host import Identity, Place, host
from backends.language.unary import Unary
from backends.openai.asking import Asking
from backends.openai.forwarder import Forwarder
from backends.openai.presence import Presence
from backends.openai.roster import Roster
from backends.openai.server import keep_running
from backends.openai.upstream import Upstream
from backends.openai.watch import Watch
from backends.options import placed
from protos.web_address import web_address


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says; `names` maps our names of models to the server's."""

    place: Place
    url: str
    key_file: Path | None
    names: dict[str, str]
    unlisted: bool
    start: tuple[str, ...]
    device: str
    revision: str
    most: int
    asking: Asking


@placed
def main(
    where: Place,
    url: Annotated[str, typer.Option(help="The server's API: http://HOST:PORT/v1.")],
    api_key_file: Annotated[
        Path | None, typer.Option(help="The server's key, read for every call.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="NAME=UPSTREAM, or a name; repeatable. Default: all that it lists."),
    ] = None,
    unlisted: Annotated[
        bool, typer.Option("--unlisted", help="Serves --model whether the server lists it or not.")
    ] = False,
    start: Annotated[
        str, typer.Option(help='Runs the server as well, such as "vllm serve DIR".')
    ] = "",
    device: Annotated[str, typer.Option(help="What operators see; the server's own affair.")] = "",
    revision: Annotated[
        str,
        typer.Option(help="What the weights are. Answers are cached only where all tell it."),
    ] = "",
    max_in_flight: Annotated[
        int, typer.Option(min=1, help="Calls under way to the server; more are refused.")
    ] = 256,
    send_priority: Annotated[
        bool,
        typer.Option(
            "--send-priority", help="Tells vLLM (--scheduling-policy priority) calls' priorities."
        ),
    ] = False,
    salt_cache: Annotated[
        bool,
        typer.Option("--salt-cache", help="Keeps tenants' prefixes apart in vLLM's cache."),
    ] = False,
) -> None:
    """Joins a server of OpenAI's API (vLLM, SGLang, TGI, llama.cpp, …) to the gateways."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for every request otherwise
    try:
        web_address(url)
    except ValueError as wrong:
        raise SystemExit(f"penstock backend: --url {wrong}") from None
    names = _names(model or [])
    if unlisted and not names:
        raise SystemExit("penstock backend: --unlisted goes with --model")
    settings = Settings(
        where,
        url,
        api_key_file,
        names,
        unlisted,
        tuple(shlex.split(start)),
        device,
        revision,
        max_in_flight,
        Asking(send_priority, salt_cache),
    )
    uvloop.run(host(where.named("openai"), lambda identity: Joined(settings, identity)))


def _names(given: list[str]) -> dict[str, str]:
    names: dict[str, str] = {}
    for each in given:
        name, _, upstream = each.partition("=")
        if not name or name in names:
            raise SystemExit(f"penstock backend: --model {each}: each name once, and not empty")
        names[name] = upstream or name
    return names


class Joined:
    """The joined server, and the way to it."""

    def __init__(self, settings: Settings, identity: Identity) -> None:
        self._start = settings.start
        self._upstream = Upstream(settings.url, settings.key_file)
        self._roster = Roster(settings.names, unlisted=settings.unlisted)
        self._watch = Watch(self._upstream, self._roster)
        self.worker = Forwarder(
            self._upstream,
            self._roster,
            most=settings.most,
            asking=settings.asking,
            signals=lambda: self._watch.signals,
        )
        self.presence = Presence(
            identity,
            self._roster,
            self._watch,
            self.worker,
            device=settings.device,
            revision=settings.revision,
        )

    @property
    def in_flight(self) -> int:
        return self.worker.in_flight

    def unary(self, access_key: str | None) -> Unary:
        return Unary(self._roster)

    def tasks(self, changed: Callable[[], None]) -> list[Coroutine[Any, Any, None]]:
        self._watch.on_change = changed
        return [self._watch.run(), *([keep_running(self._start)] if self._start else [])]

    async def close(self) -> None:
        await self.worker.close()
        await self._upstream.close()
