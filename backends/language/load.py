"""How busy language models are and what they have kept, as a beat tells it."""

from collections.abc import Sequence

from backends.language.kept import Pace
from backends.language.times import Times, queued_work
from protos import discovery_pb2 as pb
from protos.prefixes import Filter


def load_of(
    times: Times,
    wholes: Times,
    *,
    in_flight: int,
    models: Sequence[pb.LanguageModel],
    kept: Filter,
    pace: Pace,
    adapter_seconds: float = 0.0,
    progress: int = 0,
) -> pb.Load:
    """`times` are until answers began, `wholes` until their ends, `progress` the steps until now.

    `kept` are names of beginnings of prompts, `pace` is what they save; an adapter that is in
    memory saves `adapter_seconds`.
    """
    waiting = sum(each.waiting for each in models)
    running = sum(each.running for each in models)
    typical = times.quantile(0.5)
    return pb.Load(
        queued_work_us=int(queued_work(waiting, running, wholes.quantile(0.5)) * 1e6),
        in_flight=in_flight,
        service_p50_us=int(typical * 1e6),
        service_p99_us=int(times.quantile(0.99) * 1e6),
        device_progress=progress,
        waiting=waiting,
        running=running,
        cache_use=max((each.cache_use for each in models), default=0.0),
        adapters=[name for each in models for name in each.adapters],
        prefixes=kept.bits,
        prefix_byte_seconds=pace.byte_seconds,
        adapter_seconds=adapter_seconds,
        language=models,
    )
