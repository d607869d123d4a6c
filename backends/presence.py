"""What this instance says of itself in every beat, and whether it may call itself healthy."""

import asyncio
import time
from collections.abc import Callable

from backends.activity import activity
from backends.beat import beat_of
from backends.host import Identity
from backends.intake import Intake
from backends.models.lifecycle import Lifecycle, ModelEntry
from protos import discovery_pb2 as pb
from protos.values import TensorSpec

PROBE_INTERVAL = 0.25  # seconds


class Presence:
    """Builds beats from the life cycle's table and the device loop's report."""

    def __init__(
        self,
        identity: Identity,
        *,
        device: str,
        runtime: str,
        lifecycle: Lifecycle,
        intake: Intake,
    ) -> None:
        self.draining = False
        self.on_change: Callable[[], None] = lambda: None
        self.unhealthy_reason: str | None = None
        self._identity = identity
        self._device = device
        self._runtime = runtime
        self._lifecycle = lifecycle
        self._intake = intake

    def beat(self, with_models: bool) -> pb.Beat:
        """The next beat; the model table only when it is asked for, since it is large."""
        report = self._intake.device.report()
        memory = self._lifecycle.memory
        return beat_of(
            self._identity,
            device=self._device,
            runtime=self._runtime,
            load=pb.Load(
                queued_work_us=int(report.queued_work * 1e6),
                in_flight=self._intake.in_flight,
                service_p50_us=int(report.service_p50 * 1e6),
                service_p99_us=int(report.service_p99 * 1e6),
                device_progress=report.progress,
                memory_used_bytes=memory.used,
                memory_budget_bytes=memory.budget,
                memory_high_water_bytes=memory.high_water,
            ),
            draining=self.draining,
            unhealthy=self.unhealthy_reason,
            revision=self._lifecycle.revision,
            models=map(_model, self._lifecycle.index()) if with_models else None,
            activity=activity(self._intake.device.all_statistics()),
        )

    async def probe(self) -> None:
        """Watches the device loop; an idle one must still answer, or the device hangs unnoticed."""
        while True:
            await asyncio.sleep(PROBE_INTERVAL)
            reason = self._intake.device.stalled(time.monotonic())
            if reason is None:
                reason = await self._lifecycle.probe()
            changed = (reason is None) != (self.unhealthy_reason is None)
            self.unhealthy_reason = reason
            if changed:
                self.on_change()


def _model(entry: ModelEntry) -> pb.Model:
    model = pb.Model(
        name=entry.name,
        version=entry.version,
        state=entry.state.name,
        reason=entry.reason,
        revision=entry.revision,
    )
    if entry.signature is not None:
        signature = entry.signature
        model.platform = signature.platform
        model.inputs.extend(_spec(spec) for spec in signature.inputs)
        model.outputs.extend(_spec(spec) for spec in signature.outputs)
        model.max_batch_size = signature.max_batch_size
        model.decoupled = signature.decoupled
        model.idempotent = signature.idempotent
        model.openai = signature.openai
    return model


def _spec(spec: TensorSpec) -> pb.TensorSpec:
    return pb.TensorSpec(name=spec.name, datatype=spec.datatype, shape=spec.shape)
