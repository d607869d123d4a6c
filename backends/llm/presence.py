"""What an instance with language models says of itself in every beat."""

from backends.host import Identity
from backends.llm.engine_thread import Load
from backends.llm.models import Entry
from backends.llm.worker import LlmWorker
from backends.openai.roster import VERSION
from backends.openai.texts import SIGNATURE
from backends.openai.times import queued_work
from protos import discovery_pb2 as pb

# A step that takes longer than this is not slow, it hangs.
STUCK_AFTER = 30.0  # seconds


class Presence:
    def __init__(self, identity: Identity, worker: LlmWorker, *, device: str) -> None:
        self.draining = False
        self._identity = identity
        self._worker = worker
        self._device = device

    def beat(self, with_models: bool) -> pb.Beat:
        """The next beat; the model table only when it is asked for, since it is large."""
        identity, models = self._identity, self._worker.models
        stuck = any(thread.stuck() > STUCK_AFTER or not thread.alive for thread in models.threads())
        beat = pb.Beat(
            instance=identity.instance,
            epoch=identity.epoch,
            address=identity.address,
            access_key=identity.access_key,
            device=self._device,
            runtime="llm",
            models_revision=models.revision,
            load=self._load(),
            draining=self.draining,
            healthy=not stuck,
            unhealthy_reason="a step of the engine doesn't come to an end" if stuck else "",
        )
        if with_models:
            table = pb.ModelTable(models=[_model(entry) for entry in models.entries()])
            beat.models.CopyFrom(table)
        return beat

    def _load(self) -> pb.Load:
        threads, times = self._worker.models.threads(), self._worker.times
        loads: list[Load] = [thread.load for thread in threads]
        waiting, running = sum(e.waiting for e in loads), sum(e.running for e in loads)
        typical = times.quantile(0.5)
        return pb.Load(
            queued_work_us=int(queued_work(waiting, running, typical) * 1e6),
            in_flight=self._worker.in_flight,
            service_p50_us=int(typical * 1e6),
            service_p99_us=int(times.quantile(0.99) * 1e6),
            device_progress=sum(thread.steps for thread in threads),
            waiting=waiting,
            running=running,
            cache_use=max((each.use for each in loads), default=0.0),
            adapters=self._worker.models.adapters(),
        )


def _model(entry: Entry) -> pb.Model:
    model = pb.Model(
        name=entry.name,
        version=VERSION,
        state=entry.state,
        reason=entry.reason,
        revision=entry.revision,
        platform="llm",
        decoupled=SIGNATURE.decoupled,
        idempotent=SIGNATURE.idempotent,
        openai=SIGNATURE.openai,
    )
    for specs, field in ((SIGNATURE.inputs, model.inputs), (SIGNATURE.outputs, model.outputs)):
        for spec in specs:
            field.add(name=spec.name, datatype=spec.datatype, shape=spec.shape)
    return model
