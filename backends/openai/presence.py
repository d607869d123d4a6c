"""What a joined model server's instance says of itself in every beat."""

from backends.beat import beat_of
from backends.host import Identity
from backends.language.load import load_of
from backends.language.models import told
from backends.openai.forwarder import Forwarder
from backends.openai.roster import Entry, Roster, revision_of
from backends.openai.watch import Watch
from protos import discovery_pb2 as pb
from protos.prefixes import Filter, salt_of
from protos.usage import BYTES_A_TOKEN

# In the cache of a server that doesn't tell its size.
MOST_TOKENS = 1 << 19


class Presence:
    """Builds beats; `revision` is what the operator says that the models' weights are."""

    def __init__(
        self,
        identity: Identity,
        roster: Roster,
        watch: Watch,
        forwarder: Forwarder,
        *,
        device: str,
        revision: str,
    ) -> None:
        self.draining = False
        self._identity = identity
        self._roster = roster
        self._watch = watch
        self._forwarder = forwarder
        self._device = device
        self._revision = revision
        self._salt = salt_of(identity.access_key)

    def beat(self, with_models: bool) -> pb.Beat:
        """The next beat; the model table only when it is asked for, since it is large."""
        return beat_of(
            self._identity,
            device=self._device,
            runtime="openai",
            load=self._load(),
            draining=self.draining,
            unhealthy=self._watch.unhealthy_reason,
            revision=self._roster.revision,
            models=map(self._model, self._roster.entries()) if with_models else None,
        )

    def _load(self) -> pb.Load:
        return load_of(
            self._forwarder.times,
            self._forwarder.wholes,
            in_flight=self._forwarder.in_flight,
            models=[self._language()],
            kept=Filter.of(self._kept(), self._salt),
            pace=self._forwarder.pace,
        )

    def _kept(self) -> list[int]:
        """Names of the prompts' beginnings that the server has probably kept.

        Nobody tells: those that went there last, as many as its cache has room for if it says so.
        """
        if self._watch.unhealthy_reason is not None:
            self._forwarder.kept.clear()  # another one may stand in its place when it is back
        room = (self._watch.signals.cache_tokens or MOST_TOKENS) * BYTES_A_TOKEN
        names: list[int] = []
        for name, length in self._forwarder.kept.newest():
            room -= length
            if room < 0:
                break
            names.append(name)
        return names

    def _language(self) -> pb.LanguageModel:
        """What the server's page says; it doesn't always tell several models apart."""
        names = [entry.name for entry in self._roster.entries()]
        signals = self._watch.signals
        return pb.LanguageModel(
            model=names[0] if len(names) == 1 else "",
            waiting=signals.waiting,
            running=signals.running,
            cache_use=signals.cache_use,
            adapters=signals.adapters,
            preemptions=signals.preemptions,
            prompt_tokens=signals.prompt_tokens,
            cached_tokens=signals.cached_tokens,
            drafted_tokens=signals.drafted_tokens,
            accepted_tokens=signals.accepted_tokens,
            generated_tokens={"": signals.generated_tokens},
        )

    def _model(self, entry: Entry) -> pb.Model:
        return told(entry, revision=revision_of(entry, self._revision), platform="openai")
