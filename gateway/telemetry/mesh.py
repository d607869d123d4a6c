"""Backends as metrics: what their leases say, and what their beats tell of their work.

Each series ends with its lease, so that instances that come and go for ever leave nothing behind.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from gateway.endpoint_rows import STATES, state_of
from gateway.metrics import Labelled, Totals
from gateway.telemetry.families import family
from protos import discovery_pb2 as pb

# Not `instance`: that is what Prometheus calls the gateway which it asked.
BACKEND = ("backend",)
MODEL = ("backend", "model", "version")
GPU = ("backend", "device")


@dataclass(frozen=True, slots=True)
class Work:
    """What one beat told that only metrics ask for."""

    activity: tuple[pb.ModelActivity, ...]
    accelerators: tuple[pb.Accelerator, ...]


NO_WORK = Work((), ())


def take_work(beat: pb.Beat) -> Work:
    """Takes it out of the beat, as every worker is sent every beat."""
    work = Work(tuple(beat.activity), tuple(beat.accelerators))
    beat.ClearField("activity")
    beat.ClearField("accelerators")
    return work


class _Counter(NamedTuple):
    name: str
    text: str
    value: Callable[[pb.ModelActivity], float]


COUNTERS = (
    _Counter("batches", "Batches executed.", lambda told: told.batches),
    _Counter("rows", "Rows executed, padding not counted.", lambda told: told.rows),
    _Counter("padding_rows", "Rows executed for nothing.", lambda told: told.padding_rows),
    _Counter(
        "deadline_misses",
        "Requests whose deadline passed before they were answered.",
        lambda told: told.deadline_misses,
    ),
    _Counter(
        "predicted_seconds",
        "Device time predicted of batches.",
        lambda told: told.predicted_seconds,
    ),
    _Counter(
        "actual_seconds",
        "Device time of the batches whose time was predicted.",
        lambda told: told.actual_seconds,
    ),
    _Counter(
        "prediction_error_seconds",
        "Absolute differences between predicted and actual device time.",
        lambda told: told.prediction_error_seconds,
    ),
)


class _Distribution(NamedTuple):
    name: str
    text: str
    of: Callable[[pb.ModelActivity], pb.Distribution]


DISTRIBUTIONS = (
    _Distribution("batch_rows", "Rows of batches, padding not counted.", lambda t: t.batch_rows),
    _Distribution("queue_seconds", "Time of requests in a backend's queue.", lambda t: t.queue),
    _Distribution("compute_seconds", "Time of batches on the device.", lambda t: t.compute),
)


class _Gauge(NamedTuple):
    name: str
    text: str
    value: Callable[[pb.Accelerator], float]


GAUGES = (
    _Gauge("utilization_ratio", "Share of time in which a kernel ran.", lambda g: g.utilization),
    _Gauge("memory_used_bytes", "Memory in use, by whomever.", lambda g: g.memory_used_bytes),
    _Gauge("memory_total_bytes", "Memory of the device.", lambda g: g.memory_total_bytes),
    _Gauge("power_watts", "What the device draws.", lambda g: g.power_watts),
    _Gauge("temperature_celsius", "The device's temperature.", lambda g: g.temperature_celsius),
)


class MeshMetrics:
    """`leases` gives those that are held, `work` what an instance told last."""

    def __init__(
        self, leases: Callable[[], Iterable[pb.Lease]], work: Callable[[str], Work]
    ) -> None:
        self._leases = leases
        self._work = work

    def register(self, totals: Totals) -> None:
        self._register_leases(totals)
        self._register_work(totals)

    def _register_leases(self, totals: Totals) -> None:
        def of_load(value: Callable[[pb.Load], float]) -> Callable[[], Labelled]:
            return lambda: {
                (lease.beat.instance,): value(lease.beat.load) for lease in self._leases()
            }

        totals.add_gauge(
            "penstock_endpoint_info",
            "1; the labels say what the backend is.",
            ("backend", "runtime", "device"),
            lambda: {(b.instance, b.runtime, b.device): 1.0 for b in self._beats()},
        )
        totals.add_gauge(
            "penstock_endpoint_state",
            "1 for the backend's state.",
            ("backend", "state"),
            self._states,
        )
        totals.add_gauge(
            "penstock_endpoint_queued_seconds",
            "Predicted device time of all that waits at a backend.",
            BACKEND,
            of_load(lambda load: load.queued_work_us / 1e6),
        )
        totals.add_gauge(
            "penstock_endpoint_in_flight",
            "Requests at a backend, of all gateways.",
            BACKEND,
            of_load(lambda load: load.in_flight),
        )
        totals.add_gauge(
            "penstock_endpoint_service_seconds",
            "How long a backend's recent executions took.",
            ("backend", "quantile"),
            self._service,
        )
        totals.add_gauge(
            "penstock_endpoint_memory_bytes",
            "Memory of a backend's models: in use, allowed, and the most that there was.",
            ("backend", "kind"),
            self._memory,
        )
        totals.add_gauge(
            "penstock_model_endpoints",
            "Backends that serve a version and are ready.",
            ("model", "version"),
            self._serving,
        )

    def _register_work(self, totals: Totals) -> None:
        for counter in COUNTERS:
            totals.add_labelled(
                f"penstock_backend_{counter.name}", counter.text, MODEL, self._counted(counter)
            )
        totals.add_labelled(
            "penstock_backend_requests",
            "Requests that a backend answered.",
            (*MODEL, "outcome"),
            self._outcomes,
        )
        totals.add_labelled(
            "penstock_backend_dispatches",
            "Batches by why they were closed.",
            (*MODEL, "reason"),
            self._dispatches,
        )
        for distribution in DISTRIBUTIONS:
            totals.add_family(self._distributed(distribution))
        for gauge in GAUGES:
            totals.add_gauge(f"penstock_gpu_{gauge.name}", gauge.text, GPU, self._gpus(gauge))

    def _beats(self) -> Iterator[pb.Beat]:
        return (lease.beat for lease in self._leases())

    def _states(self) -> Labelled:
        return {
            (lease.beat.instance, state): float(state == state_of(lease))
            for lease in self._leases()
            for state in STATES
        }

    def _service(self) -> Labelled:
        return {
            (beat.instance, quantile): value / 1e6
            for beat in self._beats()
            for quantile, value in (
                ("0.5", beat.load.service_p50_us),
                ("0.99", beat.load.service_p99_us),
            )
        }

    def _memory(self) -> Labelled:
        return {
            (beat.instance, kind): getattr(beat.load, f"memory_{kind}_bytes")
            for beat in self._beats()
            for kind in ("used", "budget", "high_water")
        }

    def _serving(self) -> Labelled:
        """A version that is known and that nobody serves has 0."""
        found: dict[tuple[str, ...], float] = {}
        for lease in self._leases():
            ready = state_of(lease) == "ready"
            for model in lease.beat.models.models:
                key = (model.name, model.version)
                serves = ready and model.state == pb.READY
                found[key] = found.get(key, 0.0) + serves
        return found

    def _activity(self) -> Iterator[tuple[tuple[str, str, str], pb.ModelActivity]]:
        for beat in self._beats():
            for told in self._work(beat.instance).activity:
                yield (beat.instance, told.model, told.version), told

    def _counted(self, counter: _Counter) -> Callable[[], Labelled]:
        return lambda: {key: counter.value(told) for key, told in self._activity()}

    def _outcomes(self) -> Labelled:
        return {
            (*key, outcome): count
            for key, told in self._activity()
            for outcome, count in (("success", told.successes), ("failure", told.failures))
        }

    def _dispatches(self) -> Labelled:
        return {
            (*key, reason): count
            for key, told in self._activity()
            for reason, count in told.dispatches.items()
        }

    def _distributed(self, distribution: _Distribution) -> Callable[[], pb.MetricFamily]:
        def read() -> pb.MetricFamily:
            name = f"penstock_backend_{distribution.name}"
            made = family("histogram", name, distribution.text, MODEL, {})
            for key, activity in self._activity():
                told = distribution.of(activity)
                if not made.bounds:
                    made.bounds.extend(told.bounds)
                # One with other buckets, of a backend of another release, would be nonsense.
                if made.bounds == told.bounds and len(told.counts) == len(told.bounds) + 1:
                    made.series.add(labels=key, value=told.sum, counts=told.counts)
            return made

        return read

    def _gpus(self, gauge: _Gauge) -> Callable[[], Labelled]:
        return lambda: {
            (beat.instance, told.device): gauge.value(told)
            for beat in self._beats()
            for told in self._work(beat.instance).accelerators
        }
