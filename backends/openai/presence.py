"""What a joined model server's instance says of itself in every beat."""

from backends.host import Identity
from backends.openai.forwarder import Forwarder
from backends.openai.roster import VERSION, Entry, Roster, revision_of
from backends.openai.texts import SIGNATURE
from backends.openai.times import queued_work
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
        identity, reason = self._identity, self._watch.unhealthy_reason
        beat = pb.Beat(
            instance=identity.instance,
            epoch=identity.epoch,
            address=identity.address,
            access_key=identity.access_key,
            device=self._device,
            runtime="openai",
            models_revision=self._roster.revision,
            load=self._load(),
            draining=self.draining,
            healthy=reason is None,
            unhealthy_reason=reason or "",
        )
        if with_models:
            models = [self._model(entry) for entry in self._roster.entries()]
            beat.models.CopyFrom(pb.ModelTable(models=models))
        return beat

    def _load(self) -> pb.Load:
        signals, times = self._watch.signals, self._forwarder.times
        typical = times.quantile(0.5)
        return pb.Load(
            queued_work_us=int(queued_work(signals.waiting, signals.running, typical) * 1e6),
            in_flight=self._forwarder.in_flight,
            service_p50_us=int(typical * 1e6),
            service_p99_us=int(times.quantile(0.99) * 1e6),
            waiting=signals.waiting,
            running=signals.running,
            cache_use=signals.cache_use,
            adapters=signals.adapters,
        )

    def _model(self, entry: Entry) -> pb.Model:
        model = pb.Model(
            name=entry.name,
            version=VERSION,
            state=entry.state,
            reason=entry.reason,
            revision=revision_of(entry, self._revision),
            platform=SIGNATURE.platform,
            decoupled=SIGNATURE.decoupled,
            idempotent=SIGNATURE.idempotent,
            openai=SIGNATURE.openai,
        )
        for specs, field in ((SIGNATURE.inputs, model.inputs), (SIGNATURE.outputs, model.outputs)):
            for spec in specs:
                field.add(name=spec.name, datatype=spec.datatype, shape=spec.shape)
        return model
