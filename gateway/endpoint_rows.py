"""A backend instance as operators see it."""

from typing import Any

from protos import discovery_pb2 as pb

STATES = ("ready", "draining", "suspect", "unhealthy")


def state_of(lease: pb.Lease) -> str:
    """One of `STATES`, by what discovery knows."""
    if lease.beat.draining:
        return "draining"
    if lease.state == pb.SUSPECT:
        return "suspect"
    return "ready" if lease.beat.healthy else "unhealthy"


def endpoint_row(lease: pb.Lease) -> dict[str, Any]:
    """A row of `GET /admin/endpoints`."""
    beat = lease.beat
    return {
        "instance": beat.instance,
        "epoch": beat.epoch,
        "address": beat.address,
        "process": beat.process,
        "device": beat.device,
        "runtime": beat.runtime,
        "state": state_of(lease),
        "reason": beat.unhealthy_reason,
        "load": {
            "queued_work_seconds": beat.load.queued_work_us / 1e6,
            "in_flight": beat.load.in_flight,
            "service_p50_seconds": beat.load.service_p50_us / 1e6,
            "service_p99_seconds": beat.load.service_p99_us / 1e6,
            "memory_used_bytes": beat.load.memory_used_bytes,
            "memory_budget_bytes": beat.load.memory_budget_bytes,
            "memory_high_water_bytes": beat.load.memory_high_water_bytes,
            "waiting": beat.load.waiting,
            "running": beat.load.running,
            "cache_use": beat.load.cache_use,
            "adapters": list(beat.load.adapters),
        },
        "models": [
            {
                "name": model.name,
                "version": model.version,
                "state": pb.ModelState.Name(model.state),
                "reason": model.reason,
                "revision": model.revision,
                "platform": model.platform,
                "decoupled": model.decoupled,
            }
            for model in beat.models.models
        ],
    }
