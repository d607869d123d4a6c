"""What a worker sees of the endpoints for itself, as metrics."""

from gateway.metrics import Labelled, Totals
from protos import discovery_pb2 as pb
from routing.breaker import State
from routing.endpoints import EndpointTable


def register(totals: Totals, table: EndpointTable) -> None:
    """Adds the gauges; those that workers see differently are the highest of any worker's."""

    def calls() -> Labelled:
        return {(each.instance,): float(each.exchange.in_flight) for each in table.endpoints()}

    def waits() -> Labelled:
        return {(each.instance,): each.predicted_wait() for each in table.endpoints()}

    def connected() -> Labelled:
        return {(each.instance,): float(each.exchange.connected) for each in table.endpoints()}

    def ejected() -> Labelled:
        found: dict[tuple[str, ...], float] = {}
        for each in table.endpoints():
            for (model, _), breaker in list(each.breakers.items()):
                key = (each.instance, model)
                out = breaker.state is not State.CLOSED
                found[key] = max(found.get(key, 0.0), float(out))
        return found

    backend = ("backend",)
    totals.add_gauge(
        "penstock_endpoint_calls", "Calls that wait for a backend's answer.", backend, calls
    )
    totals.add_gauge(
        "penstock_endpoint_predicted_wait_seconds",
        "How long a new call would wait at a backend, as picking reckons.",
        backend,
        waits,
        pb.MAX,
    )
    totals.add_gauge(
        "penstock_endpoint_connected",
        "1 while every worker is connected to the backend.",
        backend,
        connected,
        pb.MIN,
    )
    totals.add_gauge(
        "penstock_endpoint_ejected",
        "1 while a backend is out of the choice for a model, as it failed.",
        ("backend", "model"),
        ejected,
        pb.MAX,
    )
