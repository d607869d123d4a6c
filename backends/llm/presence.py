"""What an instance with language models says of itself in every beat."""

from backends.beat import beat_of
from backends.host import Identity
from backends.language.load import load_of
from backends.language.models import told
from backends.llm.entry import Entry
from backends.llm.worker import LlmWorker
from protos import discovery_pb2 as pb
from protos.prefixes import MOST_NAMES, Filter, salt_of

# A step that takes longer than this is not slow, it hangs.
STUCK_AFTER = 30.0  # seconds


class Presence:
    def __init__(self, identity: Identity, worker: LlmWorker, *, device: str) -> None:
        self.draining = False
        self._identity = identity
        self._worker = worker
        self._device = device
        self._salt = salt_of(identity.access_key)

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
        models = self._worker.models
        loaded = [each for each in models.entries() if each.thread and not each.adapter]
        adapters = models.adapters()
        return load_of(
            self._worker.times,
            self._worker.wholes,
            in_flight=self._worker.in_flight,
            models=[_language(each, adapters) for each in loaded],
            kept=Filter.of(_kept(loaded), self._salt),
            pace=self._worker.pace,
            adapter_seconds=max((_adapter_seconds(each) for each in loaded), default=0.0),
            progress=sum(thread.steps for thread in models.threads()),
        )


def _kept(loaded: list[Entry]) -> list[int]:
    """Names of the beginnings whose blocks are in the caches; each model has the same room."""
    names: list[int] = []
    for entry in loaded:
        if entry.engine is not None:
            knows = entry.engine.scheduler.pool.knows
            found = [name for name, key in entry.engine.kept.newest() if knows(key)]
            names += found[: MOST_NAMES // len(loaded)]
    return names


def _adapter_seconds(entry: Entry) -> float:
    return entry.loaded.adapters.read_seconds if entry.loaded else 0.0


def _language(entry: Entry, adapters: list[str]) -> pb.LanguageModel:
    found = pb.LanguageModel(
        model=entry.name,
        adapters=[name for name in adapters if name.startswith(f"{entry.name}:")],
    )
    if entry.thread is not None:
        load, counts = entry.thread.load, entry.thread.counts
        found.waiting, found.running, found.cache_use = load.waiting, load.running, load.use
        found.preemptions = load.preemptions
        found.prompt_tokens, found.cached_tokens = counts.prompt_tokens, counts.reused_tokens
        found.drafted_tokens, found.accepted_tokens = counts.drafted_tokens, counts.accepted_tokens
        for id_, tokens in counts.by_adapter.copy().items():
            # As `Models` names them: the model, the adapter, and the revision of its files.
            adapter = id_.rpartition("@")[0].removeprefix(f"{entry.name}:")
            found.generated_tokens[adapter] += tokens
    return found


def _model(entry: Entry) -> pb.Model:
    return told(entry, revision=entry.revision, platform="llm")
