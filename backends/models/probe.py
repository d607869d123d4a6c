"""Whether the device still answers when nobody asks it anything."""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial

from backends.models.loading import Device, Model
from protos.incident import frames_of

log = logging.getLogger(__name__)


class Probe:
    """Executes a warm-up sample when no batch has been executed since the last time."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._progress = -1
        self._turn = 0
        self._asked: Model
        self._pending: asyncio.Future[None] | None = None

    async def run(self, models: Sequence[Model]) -> str | None:
        """None if the device answered, otherwise the reason. `models` take turns."""
        report = self._device.report()
        # A batch that executes is judged by its own model's limit (`stalled`), not by another's.
        busy = report.progress != self._progress or (
            report.busy_since is not None and self._pending is None
        )
        self._progress = report.progress
        if busy or not models:
            return None
        if self._pending is None:
            self._turn += 1
            self._asked = models[self._turn % len(models)]
            self._pending = asyncio.wrap_future(self._device.call(partial(_execute, self._asked)))
        # Waited for without cancelling it: a device that hangs keeps the one probe that it has.
        limit = self._asked.policy.stall_after
        done, _ = await asyncio.wait({self._pending}, timeout=limit)
        if not done:
            return f"the device has not answered for {limit:g} s"
        error, self._pending = self._pending.exception(), None
        self._progress = self._device.report().progress  # the probe itself is no work
        if error is None:
            return None
        name, version = self._asked.key
        log.warning("%s %s fails its warm-up sample: %s", name, version, frames_of(error))
        return f"{name} {version} fails its warm-up sample: {type(error).__name__}"


def _execute(model: Model) -> None:
    if not model.samples:
        return  # that the device's thread came by is all that can be known
    sample = model.samples[0]
    if not model.signature.decoupled:
        model.runtime.execute(model.runtime.stage(sample.inputs))
