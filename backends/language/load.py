"""How busy language models are, as a beat tells it."""

from collections.abc import Sequence

from backends.language.times import Times, queued_work
from protos import discovery_pb2 as pb


def load_of(
    times: Times,
    *,
    in_flight: int,
    waiting: int,
    running: int,
    cache_use: float,
    adapters: Sequence[str],
    progress: int = 0,
) -> pb.Load:
    """`times` are those of first parts, `cache_use` a share, `progress` the steps until now."""
    typical = times.quantile(0.5)
    return pb.Load(
        queued_work_us=int(queued_work(waiting, running, typical) * 1e6),
        in_flight=in_flight,
        service_p50_us=int(typical * 1e6),
        service_p99_us=int(times.quantile(0.99) * 1e6),
        device_progress=progress,
        waiting=waiting,
        running=running,
        cache_use=cache_use,
        adapters=adapters,
    )
