"""What a joined model server's instance says of itself in every beat."""

from backends.beat import beat_of
from backends.host import Identity
from backends.language.load import load_of
from backends.language.models import told
from backends.openai.forwarder import Forwarder
from backends.openai.roster import Entry, Roster, revision_of
from backends.openai.watch import Watch
from protos import discovery_pb2 as pb


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
        signals = self._watch.signals
        return load_of(
            self._forwarder.times,
            in_flight=self._forwarder.in_flight,
            waiting=signals.waiting,
            running=signals.running,
            cache_use=signals.cache_use,
            adapters=signals.adapters,
        )

    def _model(self, entry: Entry) -> pb.Model:
        return told(entry, revision=revision_of(entry, self._revision), platform="openai")
