"""The running demo as the tour's stops use it."""

import asyncio
import fcntl
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from gateway.client import GatewayClient, ServedModel
from gateway.config import Config
from gateway.credentials import TENANT, Credentials
from gateway.tour import placed
from gateway.tour.load import Question, question
from protos.errors import Kind, PenstockError, invalid

T = TypeVar("T")

_SUBJECTS = 50  # callers, in the eyes of a sticky route
_LOOK = 0.1  # seconds
_PATIENCE = 60.0
_ARRIVAL = 20.0  # seconds from the beginning in which the demo's models may still be loading


class Site:
    """`client` asks as an administrator; `token` is that of one of the demo's callers."""

    def __init__(self, config: Config, credentials: Credentials, client: GatewayClient) -> None:
        self.config = config
        self.client = client
        self.join_token_file = credentials.join_token_file
        self._arrived_by = time.monotonic() + _ARRIVAL
        url = urlsplit(client.public)
        if url.scheme != "http":
            raise invalid("the tour asks in plain text, and this gateway's HTTP face takes TLS")
        self.address = url.hostname or "", url.port or 80
        self.tokens = tuple(
            credentials.token(TENANT, ("infer:*",), 3600.0, time.time(), f"visitor-{number}")
            for number in range(_SUBJECTS)
        )

    @property
    def repository(self) -> Path:
        """The folder whose models the ONNX backend serves."""
        found = self._repository("onnx")
        if found is None:
            raise no_demo("its configuration has no ONNX backend")
        return found

    def _repository(self, runtime: str) -> Path | None:
        folders = [each.repository for each in self.config.backends if each.runtime == runtime]
        return next((each for each in folders if each is not None), None)

    @property
    def routes(self) -> Path:
        if self.config.routes is None:
            raise no_demo("its configuration has no folder of routes")
        return self.config.routes

    @property
    def folder(self) -> Path:
        """Where the tour leaves what is to be looked at afterwards."""
        folder = self.config.state_folder / "tour"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    async def models(self) -> list[ServedModel]:
        """Every model version that is ready somewhere."""
        instances = await self.client.instances()
        return [m for each in instances for m in each.models if m.state == "READY"]

    async def language_model(self) -> tuple[Path, str] | None:
        """The folder and the name of the demo's language model; None where nobody serves it."""
        folder = self._repository("llm")
        if folder is None:
            return None

        async def served() -> list[str]:
            names = [each.name for each in await self.models() if each.platform == "llm"]
            return [name for name in names if ":" not in name]  # the others are adapters

        own = await _sought(served, self._arrived_by)
        return (folder / own[0], own[0]) if own else None

    async def need(self, model: str, *versions: str) -> None:
        """Raises UNAVAILABLE unless these are served, or soon will be."""

        async def missing() -> list[str]:
            served = {(each.name, each.version) for each in await self.models()}
            return [version for version in versions if (model, version) not in served]

        async def complete() -> bool:
            return not await missing()

        if not await _sought(complete, self._arrived_by) and (lacking := await missing()):
            raise no_demo(f"nobody serves version {', '.join(lacking)} of {model}")

    def questions(self, path: str, bodies: list[bytes]) -> list[Question]:
        """Each body once, from one caller after the other."""
        host = f"{self.address[0]}:{self.address[1]}"
        return [
            question(host, path, self.tokens[index % len(self.tokens)], body)
            for index, body in enumerate(bodies)
        ]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Entered by one tour at a time; raises UNAVAILABLE while another is under way."""
        with (self.folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                sentence = "another tour of this demo is under way"
                raise PenstockError(Kind.UNAVAILABLE, sentence) from None
            yield

    async def clear(self) -> None:
        """Removes what a tour that was killed has left, and waits until the gateway knows."""
        left = {Path(name).stem for name in placed.clear(self.routes, self.repository)}

        async def gone() -> bool:
            return left.isdisjoint(each["name"] for each in (await self.client.routes())["routes"])

        await until("the end of the routes that another tour left", gone)

    def document(self, name: str, text: str) -> AbstractContextManager[None]:
        """A file in the folder of routes, for as long as it is entered."""
        return placed.document(self.routes / name, text)

    def model(self, name: str, make: Callable[[Path], None]) -> AbstractContextManager[None]:
        """A model in the ONNX backend's repository, for as long as it is entered."""
        return placed.model(self.repository / name, self.folder / name, make)

    async def routed(self, *routes: str) -> None:
        """Returns when every worker applies documents among which these routes are."""

        async def applied() -> bool:
            told = await self.client.routes()
            if told["problem"]:
                raise PenstockError(Kind.UNAVAILABLE, told["problem"])
            everywhere = all(each == told["revision"] for each in told["workers"].values())
            return everywhere and set(routes) <= {each["name"] for each in told["routes"]}

        await until(f"the route {' and '.join(routes)}", applied)

    async def served(self, model: str) -> None:
        """Returns when somebody serves the model."""

        async def there() -> bool:
            return any(each.name == model for each in await self.models())

        await until(f"the model {model}", there)


async def until(what: str, look: Callable[[], Awaitable[T | None]]) -> T:
    """What `look` finds in the end; raises UNAVAILABLE where it never does."""
    found = await _sought(look, time.monotonic() + _PATIENCE)
    if not found:
        raise PenstockError(Kind.UNAVAILABLE, f"{what} didn't come in {_PATIENCE:g} s")
    return found


async def _sought(look: Callable[[], Awaitable[T | None]], end: float) -> T | None:
    """What `look` finds until then; it looks once at least."""
    while not (found := await look()) and time.monotonic() < end:  # noqa: ASYNC110 (far away)
        await asyncio.sleep(_LOOK)
    return found


def no_demo(why: str) -> PenstockError:
    sentence = f"the tour goes through the demo, which `make up` starts: {why}"
    return PenstockError(Kind.UNAVAILABLE, sentence)
