"""What every kind of backend says of itself in a beat."""

import os
from collections.abc import Iterable

from backends.host import Identity
from protos import discovery_pb2 as pb


def beat_of(
    identity: Identity,
    *,
    device: str,
    runtime: str,
    load: pb.Load,
    draining: bool,
    unhealthy: str | None,
    revision: int,
    models: Iterable[pb.Model] | None,
    activity: Iterable[pb.ModelActivity] = (),
) -> pb.Beat:
    """`unhealthy` is why it can't work, None where it can; `revision` that of the model table.

    `models` are that table; None leaves it out, since it is large.
    """
    beat = pb.Beat(
        instance=identity.instance,
        epoch=identity.epoch,
        address=identity.address,
        access_key=identity.access_key,
        device=device,
        runtime=runtime,
        models_revision=revision,
        load=load,
        draining=draining,
        healthy=unhealthy is None,
        unhealthy_reason=unhealthy or "",
        process=os.getpid(),
        activity=activity,
        accelerators=identity.gpus.told(device),
    )
    if models is not None:
        beat.models.CopyFrom(pb.ModelTable(models=models))
    return beat
