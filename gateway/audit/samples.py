"""Sampled requests and replies as JSON lines, redacted, in a file a day and process.

They are apart from the log itself: they are no evidence, and are removed after a time.
"""

import fcntl
import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from gateway.store.recorder import Recorder
from policies.samples import Sample
from protos.arrays import split_bytes, to_array
from protos.route.snapshot import RouteSnapshot
from protos.text import texts
from protos.values import OpenAi, Part, Payload, Tensor

log = logging.getLogger(__name__)

CAPACITY = 256  # samples that wait,
MEMORY = 64 * 2**20  # and bytes of memory that they take together
BATCH = 16
LINGER = 1.0  # seconds
MOST = 1024  # values of a tensor; its shape says how many there were
TIDY_INTERVAL = 3600.0  # seconds

# A route's redaction of a reply's parts: JSON, empty where nothing redacts them.
Redact = Callable[[RouteSnapshot, Sequence[Part]], str]


class SampleFiles:
    """Writes in a thread, which `redact` is called in. Counters: `written`, `dropped`."""

    def __init__(
        self,
        folder: Path,
        role: str,
        redact: Redact,
        *,
        keep: float,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._role = role
        self._redact = redact
        self._keep = keep
        self._wall = wall
        self._tidy_at = 0.0
        self._unredacted = 0
        self._crowded = 0  # dropped by `put`
        self._held = 0  # bytes of samples that were put
        self._let_go = 0  # and that were written: each counter has one writer
        self.written = 0
        self._queue: Recorder[Sample] = Recorder(
            self._write, capacity=CAPACITY, batch=BATCH, linger=LINGER, name="samples"
        )

    @property
    def dropped(self) -> int:
        """Too many waited, or not all of them could be redacted."""
        return self._queue.dropped + self._crowded + self._unredacted

    def put(self, sample: Sample) -> None:
        """Never waits; called in one thread."""
        if self._held - self._let_go + sample.held > MEMORY:
            self._crowded += 1
        elif self._queue.put(sample):
            self._held += sample.held

    def close(self, timeout: float) -> None:
        self._queue.close(timeout)

    def _write(self, samples: Sequence[Sample]) -> None:
        unredacted = 0
        lines: list[bytes] = []
        for sample in samples:
            try:
                line = self._line(sample)
            except Exception as error:
                # No traceback: its last line may quote what was to be redacted.
                log.error("a sample can't be redacted, and is not kept: %s", type(error).__name__)
                line = None
            if line is None:
                unredacted += 1
            else:
                lines.append(line)
        self._append(lines)
        self._unredacted += unredacted
        self.written += len(lines)
        self._let_go += sum(sample.held for sample in samples)
        self._tidy()

    def _line(self, sample: Sample) -> bytes | None:
        context, asked, parts = sample.context, sample.asked, sample.parts
        route = context.route
        if route is None or not _readable(asked, parts):
            return None
        reply = self._redact(route, parts)
        if not reply:
            return None
        timeline = context.timeline
        told = {
            "at": sample.at,
            "tenant": context.principal.tenant,
            "model": sample.model,
            "route": route.name,
            "arm": timeline.arm,
            "served": "" if timeline.target is None else timeline.target.model,
            "version": parts[0].version,
            "policies": route.revision,
            "request_id": timeline.request_id,
            "request": _told(asked),
            **orjson.loads(reply),
        }
        return orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)

    def _append(self, lines: Sequence[bytes]) -> None:
        if not lines:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        day = f"{datetime.fromtimestamp(self._wall(), UTC):%Y%m%d}"
        path = self._folder / f"{day}-{self._role}.jsonl"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            # A process that ends may still write while the one that follows it begins to.
            fcntl.flock(file, fcntl.LOCK_EX)
            size = os.fstat(file).st_size
            torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"  # by a process that was killed
            left = memoryview(b"".join((b"\n" if torn else b"", *lines)))
            try:
                while left:
                    left = left[os.write(file, left) :]
            except OSError:
                os.ftruncate(file, size)  # they are written again, and half a line is none
                raise
        finally:
            os.close(file)

    def _tidy(self) -> None:
        now = self._wall()
        if now < self._tidy_at:
            return
        self._tidy_at = now + TIDY_INTERVAL
        try:
            for path in self._folder.glob("*.jsonl"):
                with suppress(FileNotFoundError):  # another process may come first
                    if path.stat().st_mtime < now - self._keep:
                        path.unlink()
        except OSError as failure:
            # The samples that were just written must not be written again because of it.
            log.error("old samples can't be removed, and are tried in an hour: %s", failure)


def _readable(asked: Payload, parts: Sequence[Part]) -> bool:
    """Whether all of it is text or numbers: what a policy lets pass as binary, nobody redacted."""
    said = (each for part in parts for each in texts(part.payload, reply=True))
    return all(each.text is not None for each in chain(texts(asked), said))


def _told(payload: Payload) -> Any:
    """What the model was given, which the privacy policy has redacted."""
    if isinstance(payload, OpenAi):
        return payload.body
    return [_tensor(each) for each in payload.tensors]


def _tensor(tensor: Tensor) -> dict[str, Any]:
    if tensor.datatype == "BYTES":
        elements = split_bytes(tensor.data)[:MOST]
        data: Any = [each.decode(errors="replace") for each in elements]
    else:
        data = to_array(tensor).reshape(-1)[:MOST]
    return {
        "name": tensor.name,
        "datatype": tensor.datatype,
        "shape": list(tensor.shape),
        "data": data,
    }
