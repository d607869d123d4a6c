"""What a worker sees of endpoints, and what becomes of what several see."""

from types import SimpleNamespace

from gateway.metrics import Totals
from gateway.telemetry.endpoints import register
from gateway.telemetry.merged import Merged
from routing.breaker import Breaker, State
from tests.gateway.telemetry.collected import collected


def endpoint(name: str, *, calls: int = 0, connected: bool = True, **states: State):
    breakers = {}
    for model, state in states.items():
        breakers[model, "1"] = breaker = Breaker()
        breaker.state = state
    return SimpleNamespace(
        instance=name,
        exchange=SimpleNamespace(in_flight=calls, connected=connected),
        predicted_wait=lambda: calls / 10,
        breakers=breakers,
    )


def worker(*endpoints) -> Totals:
    totals = Totals()
    register(totals, SimpleNamespace(endpoints=lambda: list(endpoints)))
    return totals


def together(*workers: Totals) -> dict[tuple[str, ...], float]:
    merged = Merged()
    for number, totals in enumerate(workers):
        merged.report(f"{number}/1", totals.families())
    return {
        (sample.name.removeprefix("penstock_endpoint_"), *sample.labels.values()): sample.value
        for family in collected(merged.families())
        for sample in family.samples
    }


def test_calls_add_up_and_waits_do_not() -> None:
    found = together(worker(endpoint("one", calls=3)), worker(endpoint("one", calls=4)))
    assert found["calls", "one"] == 7
    assert found["predicted_wait_seconds", "one"] == 0.4


def test_an_endpoint_is_connected_if_every_worker_is() -> None:
    found = together(worker(endpoint("one")), worker(endpoint("one", connected=False)))
    assert found["connected", "one"] == 0


def test_an_endpoint_is_ejected_if_any_worker_says_so() -> None:
    out = worker(endpoint("one", good=State.CLOSED, bad=State.OPEN, tried=State.HALF_OPEN))
    fine = worker(endpoint("one", good=State.CLOSED, bad=State.CLOSED))
    found = together(out, fine)
    ejected = {key[2]: value for key, value in found.items() if key[0] == "ejected"}
    assert ejected == {"good": 0, "bad": 1, "tried": 1}
