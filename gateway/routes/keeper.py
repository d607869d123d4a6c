"""Keeps the routes in force: reads the folder when it changes, and never loses the last good state.

A refused file changes nothing that is served: it is logged with its line, and shows in a metric
until it is mended. The last good documents are kept in the state folder, so that a restart beside a
broken file serves on as well. What rollouts have made of the routes joins the documents here, so
that workers get both as one message and apply them as one snapshot.
"""

import asyncio
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from gateway.routes.current import effect_message
from gateway.routes.documents import Documents, check_texts
from gateway.routes.folder import load_folder, signature
from gateway.routes.kinds import ROUTE
from protos import discovery_pb2 as pb
from protos.errors import PenstockError
from protos.incident import frames_of
from protos.route.document import Route
from protos.strict_yaml import ConfigError
from routing.rules.effect import Effect
from routing.rules.loaded import Loaded, LoadedPolicy
from routing.rules.table import RouteTable

log = logging.getLogger(__name__)

LOOK_INTERVAL = 1.0  # seconds; polled, as a folder that Kubernetes mounts changes by symlinks


async def _unrecorded(facts: Mapping[str, Any]) -> None:
    return None


class RouteKeeper:
    """`publish` is called with every new state. Without a folder there are no routes.

    `on_change` is awaited before other documents take effect, and what it raises keeps them from
    that while there are others in force; `on_refused` is told why documents were refused.
    """

    def __init__(
        self, folder: Path | None, last_good: Path, publish: Callable[[pb.Routing], None]
    ) -> None:
        self._folder = folder
        self._last_good = last_good
        self._publish = publish
        self._effects: Mapping[str, Effect] = {}
        self._seen: object = None
        self.documents = check_texts([])
        self.revision = self.documents.revision  # the hash of the documents in force
        self._table: RouteTable | None = None
        self.on_revision: Callable[[str], None] = lambda revision: None
        self.on_change: Callable[[Mapping[str, Any]], Awaitable[None]] = _unrecorded
        self.on_refused: Callable[[str], None] = lambda problem: None
        self.refused = 0
        self.unkept = 0  # times that the state folder didn't take the routes in force
        self.problem = ""  # why the folder as it is now can't be applied
        self.applied_at = 0.0  # Unix time in seconds

    async def start(self) -> None:
        """Applies the folder, or the last good documents if it is refused.

        Raises ConfigError when there are no good ones: a gateway without its rules would let
        through what they hold back.
        """
        if self._folder is None:
            return
        self._seen = await asyncio.to_thread(signature, self._folder)
        try:
            documents = await asyncio.to_thread(self._read)
        except ConfigError as error:
            kept = await asyncio.to_thread(self._kept)
            if kept is None:
                raise
            self._refuse(error)
            documents = kept
        try:
            await self.on_change(_facts(self.documents, documents))
        except PenstockError as error:
            log.error("the routes take effect without a record: %s", error.message)
        await self._apply(documents)

    async def run(self) -> None:
        """Looks for changes until cancelled."""
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            try:
                await self.look()
            except Exception:
                log.exception("the folder of routes can't be looked at")

    def by_name(self) -> dict[str, Route]:
        """The routes in force."""
        return {each.name: each.route for each in self.documents.routes}

    def take_effects(self, effects: Mapping[str, Effect]) -> None:
        """What rollouts have made of the routes, by route."""
        self._effects = effects
        self._table = None
        self._publish(self.routing())

    def table(self) -> RouteTable:
        """The routes in force, for questions; workers build the same from the same message."""
        if self._table is None:
            self._table = RouteTable(self.documents.routes, self._effects, self.documents.policies)
        return self._table

    def routing(self) -> pb.Routing:
        """The state in force as workers are told it."""
        return pb.Routing(
            files=[pb.RouteFile(source=s, text=t) for s, t in self.documents.texts],
            effects=[effect_message(each) for each in self._effects.values()],
        )

    async def look(self) -> None:
        """Reads the folder if it has changed since the last look."""
        if self._folder is None:
            return
        seen = await asyncio.to_thread(signature, self._folder)
        if seen == self._seen:
            return
        try:
            documents = await asyncio.to_thread(self._read)
        except ConfigError as error:
            self._seen = seen
            self._refuse(error)
            return
        except Exception as error:
            # Not the documents' fault, so it is tried again; but nobody should have to guess why
            # what they wrote isn't in force.
            problem = f"the folder of routes can't be read: {type(error).__name__}"
            if self.problem != problem:
                self.problem = problem
                self.refused += 1
                log.error("%s", frames_of(error))
            return
        changed = documents.revision != self.revision
        if changed:
            try:
                await self.on_change(_facts(self.documents, documents))
            except PenstockError as error:
                if self.problem != error.message:
                    log.error("changed routes don't take effect: %s", error.message)
                self.problem = error.message
                return
        # Not before: a failure that isn't the documents' is no reason to pass over a change.
        self._seen = seen
        if changed:
            await self._apply(documents)
        elif self.problem:
            log.info("the folder is good again; routes %s stay in force", self.revision)
        self.problem = ""

    async def _apply(self, documents: Documents) -> None:
        changes = _changes(self.documents, documents)
        self.documents = documents
        self.revision = documents.revision
        self._table = None
        self.applied_at = time.time()
        for note in documents.notes:
            log.warning("%s", note)
        log.info("routes %s: %d in force%s", self.revision, len(documents.routes), changes)
        self.on_revision(self.revision)
        self._publish(self.routing())
        try:
            await asyncio.to_thread(self._keep, documents)
        except OSError as failure:
            self.unkept += 1
            log.error("the routes in force can't be kept for a restart: %s", failure)

    def _refuse(self, error: ConfigError) -> None:
        self.refused += 1
        self.problem = str(error)
        log.error("routes are refused, the last good ones stay in force: %s", error)
        self.on_refused(self.problem)

    def _read(self) -> Documents:
        if self._folder is None:
            return check_texts([])
        documents = load_folder(self._folder)
        if not documents.routes and (self.documents.routes or self._last_good.exists()):
            # A volume that isn't mounted looks like this, and limits would be gone with it.
            kept = self.documents if self.documents.routes else self._kept()
            if kept is not None and kept.routes:
                raise ConfigError(
                    str(self._folder),
                    1,
                    "holds no routes any more; to serve without any, take `routes` out of the"
                    " configuration",
                )
        return documents

    def _keep(self, documents: Documents) -> None:
        if not documents.all:
            self._last_good.unlink(missing_ok=True)
            return
        self._last_good.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._last_good.with_suffix(f".{os.getpid()}")
        new.touch(mode=0o600)  # what routes say of tenants and policies is nobody else's
        new.write_text(json.dumps(documents.texts), encoding="utf-8")
        new.replace(self._last_good)

    def _kept(self) -> Documents | None:
        try:
            texts = json.loads(self._last_good.read_text(encoding="utf-8"))
            if not all(type(each) is str for pair in texts for each in pair):
                raise ValueError("it is of another form")
            documents = check_texts([(s, t) for s, t in texts])
            if not documents.all:
                # Believed, they would lift all rules at a restart beside one broken file.
                raise ValueError("they are empty")
            return documents
        except (OSError, ValueError, TypeError, RecursionError, ConfigError) as failure:
            log.warning("there are no last good routes: %s", failure)
            return None


def _changed(before: Documents, after: Documents) -> dict[str, list[str]]:
    """Which documents are new, changed and gone."""
    old, new = (
        {_called(each): each.document.value for each in documents.all}
        for documents in (before, after)
    )
    return {
        "new": sorted(new.keys() - old.keys()),
        "changed": sorted(name for name in new.keys() & old.keys() if new[name] != old[name]),
        "gone": sorted(old.keys() - new.keys()),
    }


def _changes(before: Documents, after: Documents) -> str:
    """The same in words."""
    told = _changed(before, after)
    return "".join(f"; {what}: {', '.join(names)}" for what, names in told.items() if names)


def _facts(before: Documents, after: Documents) -> dict[str, Any]:
    """What a record says of a change."""
    return {"policies": after.revision, "former": before.revision, **_changed(before, after)}


def _called(each: Loaded | LoadedPolicy) -> str:
    return each.name if each.kind == ROUTE else f"{each.kind} {each.name}"
