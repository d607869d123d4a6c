"""The audit log of one process: what it is told, when it is on the disk, and who has to wait.

Requests and failed authentications are put into a bounded queue, which a thread writes in batches;
what doesn't fit is counted, and the count is a record. What people do to the gateway is on the disk
before it takes effect, or it isn't done.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import chain
from math import inf
from pathlib import Path
from typing import Any

from gateway.audit.chain import Chain
from gateway.audit.forget import forgettable, forgotten
from gateway.audit.seal import Record, Seal, read_seal
from gateway.config import Config
from gateway.store.recorder import Recorder
from policies.audit import AuditSettings, Entry, Strangers, entry, record
from policies.refusal import Rejected
from protos.errors import Kind, PenstockError
from protos.principal import Principal
from protos.timeline import Timeline

log = logging.getLogger(__name__)

CAPACITY = 20_000  # records that wait; some 10 MB
BATCH = 1000
LINGER = 0.5  # seconds that a record may wait for others
LEFT_OUT_AFTER = 1.0  # seconds until what wasn't recorded of strangers is counted in a record
TIDY_INTERVAL = 3600.0  # seconds between looks for files that are old enough to be removed,
ROOM_INTERVAL = 10.0  # and for more than may be kept: a busy gateway writes 10 MB meanwhile


class AuditLog:
    """`role` names the process among those of a gateway.

    Nothing raises but what is said to. Counters: `written`, `dropped` records, `failures`.
    """

    def __init__(
        self,
        settings: AuditSettings,
        folder: Path,
        role: str,
        seal: Seal,
        *,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._wall = wall
        self._clock = clock
        self._default = settings.requests
        self._role = role
        self._keep = settings.keep
        self._most = inf if settings.keep_bytes is None else settings.keep_bytes
        self._told_drops = 0
        self._strangers = Strangers(settings.strangers)
        self._counting: asyncio.TimerHandle | None = None
        self.chain = Chain(
            folder,
            role,
            seal,
            segment_bytes=settings.segment_bytes,
            segment_time=settings.segment_time,
            wall=wall,
        )
        self._queue: Recorder[Entry | Record] = Recorder(
            self._write, capacity=CAPACITY, batch=BATCH, linger=LINGER, name="audit records"
        )
        try:
            self.chain.open()
        except OSError as failure:
            log.error("the audit log can't be written: %s", failure)

    @classmethod
    def of(cls, config: Config, role: str) -> "AuditLog":
        """The log that a configuration asks for. Raises INVALID for an unusable key."""
        seal = read_seal(config.audit.key_file)
        return cls(config.audit, config.audit_folder, role, seal)

    @property
    def writable(self) -> bool:
        """Whether records get to the disk, as far as the last attempt tells."""
        return not self.chain.failing and self._queue.queued < CAPACITY

    @property
    def dropped(self) -> int:
        return self._queue.dropped

    def request(self, model: str, face: str, code: int, timeline: Timeline, error: str) -> None:
        """A request is over; `error` is the name of its failure's kind, or empty."""
        told = entry(
            timeline,
            at=self._wall(),
            model=model,
            face=face,
            code=code,
            error=error,
            now=self._clock(),
            default=self._default,
        )
        if told is not None:
            self._queue.put(told)

    def stranger(self, face: str, peer: str, refused: PenstockError) -> None:
        """Somebody was refused who didn't prove who they are; called on the event loop."""
        if self._strangers.tell(self._clock()):
            self.event("stranger", face=face, peer=peer, why=_why(refused))
        elif self._counting is None:
            loop = asyncio.get_running_loop()
            self._counting = loop.call_later(LEFT_OUT_AFTER, self._tell_left_out)

    def event(self, what: str, **facts: Any) -> None:
        """Something that happened by itself, and needn't wait for its record."""
        self._queue.put({"at": self._wall(), "what": what, **facts})

    def record(self, what: str, **facts: Any) -> None:
        """Returns when the record is on the disk. Raises OSError; not for the event loop."""
        self.chain.append([{"at": self._wall(), "what": what, **facts}])

    async def recorded(self, what: str, **facts: Any) -> None:
        """The same for the event loop. Raises UNAVAILABLE when it can't be recorded."""
        try:
            await asyncio.to_thread(self.record, what, **facts)
        except OSError as failure:
            raise PenstockError(
                Kind.UNAVAILABLE,
                "the audit log can't be written, and this is not done without a record",
                retry_after=1.0,
            ) from failure

    @asynccontextmanager
    async def action(self, what: str, who: Principal, **facts: Any) -> AsyncIterator[None]:
        """What somebody does to the gateway: recorded before it begins, and again if it fails."""
        told = {**names(who), **facts}
        await self.recorded(what, **told)
        try:
            yield
        except BaseException as error:
            kind = error.kind.name if isinstance(error, PenstockError) else type(error).__name__
            self.event(f"{what}.failed", **told, error=kind)
            raise

    def close(self, timeout: float) -> None:
        """Writes what waits, as far as that goes in so many seconds, and ends the chain."""
        if self._counting is not None:
            self._counting.cancel()
            self._tell_left_out()
        self._queue.close(timeout)
        try:
            self.chain.close()
        except OSError:
            # Whoever verifies sees that the end is missing.
            return

    def _tell_left_out(self) -> None:
        self._counting = None
        self.event("strangers", left_out=self._strangers.left_out())

    def _write(self, entries: Sequence[Entry | Record]) -> None:
        drops = self._queue.dropped
        gap: list[Record] = []
        if drops > self._told_drops:
            missing = drops - self._told_drops
            gap = [{"at": self._wall(), "what": "gap", "dropped": missing}]
        records = (each if isinstance(each, Mapping) else record(each) for each in entries)
        self.chain.append(chain(records, gap))
        self._told_drops = drops

    async def tidy(self) -> None:
        """Removes old files until it is cancelled; one process does it for all of a gateway."""
        while True:
            await asyncio.to_thread(self.remove_old)
            await asyncio.sleep(TIDY_INTERVAL if self._most == inf else ROOM_INTERVAL)

    def remove_old(self) -> None:
        """Removes what is too old or too much, and records it first; raises nothing."""
        now = self._wall()
        try:
            old = forgettable(self._folder, now - self._keep, self._most, self._role)
            if old:
                self.chain.append([{"at": now, "what": "forget", "segments": forgotten(old)}])
            for path in old:
                path.unlink(missing_ok=True)
        except Exception:
            log.exception("old files of the audit log can't be removed, which is tried again")


def _why(refused: PenstockError) -> str:
    """As operators may read it; what a library says of a token is reduced to its name."""
    cause = refused.__cause__
    if cause is None:
        return refused.message
    return str(cause) if isinstance(cause, Rejected) else type(cause).__name__


def names(who: Principal) -> dict[str, str]:
    """Who did something, as records say it."""
    return {"tenant": who.tenant, "subject": who.subject, "issuer": who.issuer}
