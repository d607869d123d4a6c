"""What leases and beats become on the page, and that it ends with the lease."""

from gateway.metrics import Totals
from gateway.telemetry.mesh import NO_WORK, MeshMetrics, Work, take_work
from protos import discovery_pb2 as pb
from tests.gateway.telemetry.collected import collected


def beat(name: str = "gpu-1", **told) -> pb.Beat:
    made = pb.Beat(instance=name, epoch=1, runtime="torch", device="cuda:0", healthy=True, **told)
    made.models.models.add(name="m", version="1", state=pb.READY)
    made.models.models.add(name="m", version="2", state=pb.LOADING)
    return made


def held(each: pb.Beat, state: pb.LeaseState = pb.HELD) -> pb.Lease:
    return pb.Lease(beat=each, state=state)


ACTIVITY = pb.ModelActivity(
    model="m",
    version="1",
    successes=9,
    failures=1,
    batches=4,
    rows=12,
    padding_rows=3,
    deadline_misses=1,
    dispatches={"full": 3, "idle": 1},
    queue=pb.Distribution(bounds=[0.1, 1.0], counts=[8, 1, 1], sum=2.5),
    predicted_seconds=1.5,
    actual_seconds=2.0,
    prediction_error_seconds=0.5,
)
GPU = pb.Accelerator(device="cuda:0", utilization=0.5, memory_used_bytes=10, power_watts=300.0)


def samples(leases: list[pb.Lease], work: Work = NO_WORK) -> dict[tuple[str, ...], float]:
    totals = Totals()
    MeshMetrics(lambda: leases, lambda instance: work).register(totals)
    return {
        (sample.name.removeprefix("penstock_"), *sample.labels.values()): sample.value
        for family in collected(totals.families())
        for sample in family.samples
    }


def test_a_lease_has_one_state_and_its_load() -> None:
    load = pb.Load(queued_work_us=1_500_000, in_flight=3, service_p99_us=2000)
    found = samples([held(beat(load=load))])
    assert found["endpoint_info", "gpu-1", "torch", "cuda:0"] == 1
    states = {key[2]: value for key, value in found.items() if key[0] == "endpoint_state"}
    assert states == {"ready": 1, "draining": 0, "suspect": 0, "unhealthy": 0}
    assert found["endpoint_queued_seconds", "gpu-1"] == 1.5
    assert found["endpoint_in_flight", "gpu-1"] == 3
    assert found["endpoint_service_seconds", "gpu-1", "0.99"] == 0.002


def test_a_version_that_nobody_serves_any_more_has_none_until_it_is_forgotten() -> None:
    two = [held(beat("gpu-1")), held(beat("gpu-2"), pb.SUSPECT)]
    found = samples(two)
    assert found["model_endpoints", "m", "1"] == 1
    assert found["model_endpoints", "m", "2"] == 0
    assert not [key for key in samples([]) if len(key) > 1]


def test_what_batches_came_to_is_counted_by_instance_and_model() -> None:
    found = samples([held(beat())], Work((ACTIVITY,), ()))
    whose = ("gpu-1", "m", "1")
    assert found["backend_rows_total", *whose] == 12
    assert found["backend_padding_rows_total", *whose] == 3
    assert found["backend_deadline_misses_total", *whose] == 1
    assert found["backend_requests_total", *whose, "failure"] == 1
    assert found["backend_dispatches_total", *whose, "full"] == 3
    assert found["backend_actual_seconds_total", *whose] == 2.0


def test_buckets_become_cumulative() -> None:
    found = samples([held(beat())], Work((ACTIVITY,), ()))
    buckets = {k[-1]: v for k, v in found.items() if k[0] == "backend_queue_seconds_bucket"}
    assert buckets == {"0.1": 8, "1.0": 9, "+Inf": 10}
    assert found["backend_queue_seconds_sum", "gpu-1", "m", "1"] == 2.5


def test_buckets_that_do_not_fit_the_others_are_left_out() -> None:
    other = pb.ModelActivity(model="m", version="2")
    other.queue.CopyFrom(pb.Distribution(bounds=[7.0], counts=[1, 1], sum=1.0))
    short = pb.ModelActivity(model="m", version="3")
    short.queue.CopyFrom(pb.Distribution(bounds=[0.1, 1.0], counts=[1], sum=1.0))
    found = samples([held(beat())], Work((ACTIVITY, other, short), ()))
    told = [key for key in found if key[0] == "backend_queue_seconds_count"]
    assert told == [("backend_queue_seconds_count", "gpu-1", "m", "1")]


def test_devices_are_shown_where_a_driver_tells_of_them() -> None:
    found = samples([held(beat())], Work((), (GPU,)))
    assert found["gpu_utilization_ratio", "gpu-1", "cuda:0"] == 0.5
    assert found["gpu_power_watts", "gpu-1", "cuda:0"] == 300
    assert not [key for key in samples([held(beat())]) if key[0].startswith("gpu_")]


def test_workers_are_not_sent_what_only_metrics_ask_for() -> None:
    told = beat()
    told.activity.append(ACTIVITY)
    told.accelerators.append(GPU)
    work = take_work(told)
    assert (work.activity, work.accelerators) == ((ACTIVITY,), (GPU,))
    assert not told.activity
    assert not told.accelerators
