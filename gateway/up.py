"""`penstock up`: a gateway and its backends on one machine, watched from one terminal."""

import asyncio
import os
import shlex
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from gateway.children import Child, Command, ended, run
from gateway.client import GatewayClient, Instance, ServedModel, url
from gateway.config import Config
from gateway.credentials import Credentials
from gateway.grace import AFTER_DRAIN
from gateway.listening import FACES
from gateway.news import Arrival, Event, News
from gateway.plan import Plan, plan, this_machine
from gateway.ports import check_free
from gateway.prerequisites import check_all
from gateway.sample import Access, Input, chat, chat_python, curl, generate_stream, python
from gateway.terminal import Terminal
from protos.errors import Kind, PenstockError
from protos.tls import ServerTls

_LOOK = 1.0  # seconds between looks at the mesh
_LOOK_AT_START = 0.2
# Beyond the time that the gateway gives its own clients to finish, and its workers to close.
_GRACE = AFTER_DRAIN + 5.0
_BACKEND_GRACE = 30.0


def main(config: Config, file: Path, then: str = "") -> int:
    """Runs until SIGINT or SIGTERM and leaves nothing behind; the exit status.

    `then` is a command that runs once everything is ready, with PENSTOCK_URL and
    PENSTOCK_TOKEN_FILE in its environment. Raises INVALID or ConfigError before anything is started
    if it can't work.
    """
    check_all(config, file)
    check_free({face: config.listener(face).address for face in FACES})
    credentials = Credentials(config)
    credentials.renew(time.time())
    processes = plan(config, file, credentials.join_token_file, this_machine())
    return asyncio.run(Up(config, processes, credentials, Terminal()).run(then))


class Up:
    """One run of `penstock up`."""

    def __init__(
        self, config: Config, processes: Plan, credentials: Credentials, terminal: Terminal
    ) -> None:
        self._config = config
        self._credentials = credentials
        self._terminal = terminal
        self._gateway = self._child(processes.gateway)
        self._backends = [self._child(command) for command in processes.backends]
        self._arrival = Arrival([command.name for command in processes.backends])
        self._news = News()
        self._client = GatewayClient(config, lambda: credentials.admin(time.time()))
        self._access = _access(config, credentials)

    async def run(self, then: str) -> int:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal, stopping)
        for child in (self._gateway, *self._backends):
            child.start()
        work = asyncio.create_task(self._work(then), name="up")
        stopped = asyncio.create_task(stopping.wait(), name="until stopped")
        try:
            await asyncio.wait([work, stopped], return_when=asyncio.FIRST_COMPLETED)
        finally:
            work.cancel()
            stopped.cancel()
            outcome = (await asyncio.gather(work, stopped, return_exceptions=True))[0]
            self._terminal.settled()
            await self._stop()
        if isinstance(outcome, Exception):
            raise outcome  # `_work` only ends by itself when something is wrong in it
        return 0

    def _child(self, command: Command) -> Child:
        return Child(command, self._terminal.teller(command.name))

    def _on_signal(self, stopping: asyncio.Event) -> None:
        if stopping.is_set():
            for child in (self._gateway, *self._backends):
                child.kill()
        stopping.set()

    async def _stop(self) -> None:
        """The gateway first, so that the backends are there for what it still has in flight."""
        self._terminal.say("Finishing what is in flight; once more Ctrl-C ends it at once.")
        await self._gateway.stop(self._config.limits.drain_timeout + _GRACE)
        await asyncio.gather(*(backend.stop(_BACKEND_GRACE) for backend in self._backends))
        await self._client.__aexit__(None, None, None)
        self._terminal.say("Everything has stopped.")

    async def _work(self, then: str) -> None:
        await self._wait_until_ready()
        if then:
            await self._run_then(then)
        self._terminal.say(
            "Serving. Drop a model into a repository folder to serve it; Ctrl-C stops everything.",
            "bold",
        )
        while True:
            await asyncio.sleep(_LOOK)
            self._credentials.renew(time.time())
            for event in self._news.update(await self._instances() or ()):
                await self._announce(event)

    async def _wait_until_ready(self) -> None:
        began = time.monotonic()
        self._terminal.progress("waiting for the gateway")
        while (instances := await self._instances()) is None or not await self._served(instances):
            if instances is not None:
                self._terminal.progress(self._arrival.progress(instances))
            await asyncio.sleep(_LOOK_AT_START)
        self._terminal.settled()
        took = time.monotonic() - began
        self._terminal.say(f"Ready after {took:.1f} s at {self._access.url}", "bold green")
        await self._tell_models(self._news.update(instances))

    async def _instances(self) -> list[Instance] | None:
        """None while the gateway doesn't answer; its own lines say more about that."""
        try:
            return await self._client.instances()
        except PenstockError:
            return None

    async def _served(self, instances: Sequence[Instance]) -> bool:
        """Whether all instances are through with their models, and the gateway serves any."""
        if not self._arrival.settled(instances, time.monotonic()):
            return False
        anything = any(model.state == "READY" for each in instances for model in each.models)
        return not anything or await self._client.ready()

    async def _tell_models(self, events: Sequence[Event]) -> None:
        """All that is there at the start: one line a model, an example of each way to ask one."""
        ready = sorted(
            (model for what, model in events if what == "ready"),
            key=lambda model: (model.name, len(model.version), model.version),
        )
        for model in ready:
            self._terminal.say(f"  {model.name}, version {model.version}, on {model.instance}")
        for event in events:
            if event[0] == "failed":
                await self._announce(event)
        file = self._credentials.token_file
        self._terminal.say("\nA token for a day; the commands below read it from its file:")
        self._terminal.say(file.read_text().strip() if self._terminal.shown else str(file), "dim")
        await self._tell_console()
        for chats in (False, True):
            first = next((model for model in ready if model.chats is chats), None)
            if first is not None:
                await self._tell_example(first, python_too=True)

    async def _tell_console(self) -> None:
        if not self._terminal.shown:
            self._terminal.say("A link to the console: penstock token --admin")
            return
        try:
            link = await self._client.console_link()
        except PenstockError as error:
            self._terminal.say(f"(no link to the console: {error.message})")
            return
        self._terminal.say("\nThe console; the link logs one browser in, within ten minutes:")
        self._terminal.say(link, "cyan")

    async def _announce(self, event: Event) -> None:
        what, model = event
        name = f"{model.name}, version {model.version}"
        if what == "ready":
            self._terminal.say(f"{name} is ready on {model.instance}:", "bold green")
            await self._tell_example(model, python_too=False)
        elif what == "failed":
            self._terminal.say(f"{name} is not served: {model.reason}", "bold red")
        else:
            self._terminal.say(f"{name} is no longer served on {model.instance}", "yellow")

    async def _tell_example(self, model: ServedModel, *, python_too: bool) -> None:
        if model.chats:
            self._terminal.say(f"\n{chat(self._access, model.name)}\n", "cyan")
            if python_too:
                self._terminal.say(f"{chat_python(self._access, model.name)}\n", "cyan")
            return
        try:
            version, inputs = await self._asked_for(model)
        except PenstockError as error:
            self._terminal.say(f"(no example: {error.message})")
            return
        example = (self._access, model.name, version, inputs)
        command = generate_stream(*example) if model.decoupled else curl(*example)
        self._terminal.say(f"\n{command}\n", "cyan")
        if python_too and not model.decoupled:
            self._terminal.say(f"{python(*example)}\n", "cyan")

    async def _asked_for(self, model: ServedModel) -> tuple[str, tuple[Input, ...]]:
        """A version that clients may ask for, and its inputs; routes may keep versions to them."""
        try:
            return model.version, await self._client.inputs(model.name, model.version)
        except PenstockError as error:
            if error.kind not in (Kind.NOT_FOUND, Kind.INVALID):
                raise
        return "", await self._client.inputs(model.name, "")

    async def _run_then(self, then: str) -> None:
        # The token itself would be in the environment of whatever the command starts.
        file = os.fspath(self._credentials.token_file.resolve())
        environment = {"PENSTOCK_URL": self._access.url, "PENSTOCK_TOKEN_FILE": file}
        words = shlex.split(then)
        command = Command(words[0], tuple(words), environment=environment, attached=True)
        tell = self._terminal.teller("up")
        try:
            status = await run(command, tell)
        except OSError as error:
            tell(f"{then}: {error.strerror}")
            return
        if status:
            tell(f"{then}: {ended(status)}")


def _access(config: Config, credentials: Credentials) -> Access:
    http = config.listener("http")
    tls: ServerTls | None = http.tls
    authority = "" if tls is None else os.fspath(tls.certificate)
    return Access(url(http), os.fspath(credentials.token_file), authority)
