"""What an instance with language models says of itself in every beat."""

from backends.beat import beat_of
from backends.host import Identity
from backends.language.load import load_of
from backends.language.models import told
from backends.llm.engine_thread import Load
from backends.llm.models import Entry
from backends.llm.worker import LlmWorker
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
        models = self._worker.models
        stuck = any(thread.stuck() > STUCK_AFTER or not thread.alive for thread in models.threads())
        return beat_of(
            self._identity,
            device=self._device,
            runtime="llm",
            load=self._load(),
            draining=self.draining,
            unhealthy="a step of the engine doesn't come to an end" if stuck else None,
            revision=models.revision,
            models=map(_model, models.entries()) if with_models else None,
        )

    def _load(self) -> pb.Load:
        threads = self._worker.models.threads()
        loads: list[Load] = [thread.load for thread in threads]
        return load_of(
            self._worker.times,
            in_flight=self._worker.in_flight,
            waiting=sum(each.waiting for each in loads),
            running=sum(each.running for each in loads),
            cache_use=max((each.use for each in loads), default=0.0),
            adapters=self._worker.models.adapters(),
            progress=sum(thread.steps for thread in threads),
        )


def _model(entry: Entry) -> pb.Model:
    return told(entry, revision=entry.revision, platform="llm")
