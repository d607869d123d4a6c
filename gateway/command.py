"""What the commands have in common: their options, asking a running gateway, and tables."""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from gateway.client import GatewayClient
from gateway.config import Config, load_config
from gateway.credentials import Credentials
from gateway.listening import FACES
from protos.errors import PenstockError, invalid

T = TypeVar("T")

File = Annotated[
    Path,
    typer.Option("--config", metavar="FILE", envvar="PENSTOCK_CONFIG", help="penstock.yaml"),
]
Offset = Annotated[
    int | None, typer.Option("--port-offset", metavar="N", min=0, help="Moves all ports.")
]
Json = Annotated[bool, typer.Option("--json", help="Prints JSON for programs.")]
DEFAULT_FILE = Path("penstock.yaml")
# Of an administrator, where no development issuer is there to sign one: a token or an API key.
ADMIN_TOKEN = "PENSTOCK_ADMIN_TOKEN"  # noqa: S105 (a variable's name)
_LAST_PORT = 65535
_WIDEST = 10_000  # characters of a line that nobody looks at on a terminal


def load_settings(file: Path, port_offset: int | None = None) -> Config:
    """The configuration with its ports moved; raises ConfigError, or INVALID for a port too far."""
    loaded = load_config(file)
    if port_offset is None:
        return loaded
    moved = loaded.model_copy(update={"port_offset": port_offset})
    if any(moved.listener(face).address.port > _LAST_PORT for face in FACES):
        raise invalid(f"--port-offset {port_offset}: moves a port beyond the last, {_LAST_PORT}")
    return moved


def ask(
    file: Path, port_offset: int | None, question: Callable[[GatewayClient], Awaitable[T]]
) -> T:
    """What a running gateway answers to an administrator."""
    settings = load_settings(file, port_offset)
    token = administrator(settings)

    async def answer() -> T:
        async with GatewayClient(settings, token) as client:
            return await question(client)

    # On a terminal only, and not into what programs read.
    with Console(stderr=True).status("asking the gateway"):
        return asyncio.run(answer())


def administrator(settings: Config) -> Callable[[], str]:
    """Gives bearer tokens: PENSTOCK_ADMIN_TOKEN, or else what the development issuer signs.

    Raises INVALID where there is neither.
    """
    given = os.environ.get(ADMIN_TOKEN, "").strip()
    if given:
        return lambda: given
    try:
        credentials = Credentials(settings)
    except PenstockError as error:
        hint = f"{ADMIN_TOKEN} may hold a token or key of the scope admin"
        raise invalid(f"{error.message}; {hint}") from None
    return lambda: credentials.admin(time.time())


def show(value: Any, rows: list[list[str]], columns: tuple[str, ...], as_json: bool) -> None:
    """The value as JSON, or its rows as a table."""
    if as_json:
        print(json.dumps(value, indent=2))
        return
    # Nothing is cut off, as an id that ends in dots is none: a terminal folds, a pipe has room.
    whole = [Column(column, overflow="fold") for column in columns]
    table = Table(*whole, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console()
    if not console.is_terminal:
        console.width = console.measure(
            table, options=console.options.update(width=_WIDEST)
        ).maximum
    console.print(table)
