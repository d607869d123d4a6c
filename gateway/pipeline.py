"""The way of a request, on one page, in the order in which the request meets it.

    head  → observe → authenticate → read body → decode → deadline     (the face)
          → authorise → resolve → circuit → retry → hedge → pick → exchange   (here)
          ⇒ backend: queue → batch → execute ⇒ parts                   (backends)
          → encode → bytes                                             (the face)

What stands above the decode works on the head alone, so that strangers' bodies are never parsed.
The order of what follows is bound by these reasons:
- authorise stands above resolve: a model that may not be used answers as one that doesn't exist;
- resolve fixes the exact version before anything depends on it;
- the deadline stands above retry: one deadline spans all attempts and the backend's queue;
- the circuit stands above retry: that an arm is full is no reason to ask it again;
- retry stands above pick, so that a retry can go elsewhere; never after the first part, which is
  structural: awaiting a Service returns when that part exists.
"""

from collections.abc import Callable
from dataclasses import dataclass

from policies.authorize import Authorize
from protos.service import Service, stack
from protos.values import InferRequest
from routing.circuit import Circuit
from routing.endpoints import EndpointTable
from routing.hedge import Hedge
from routing.pick import Pick
from routing.resolve import Resolve
from routing.retry import Budget, Budgets, Poison, Retry


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stacked service and the parts of it that others look at."""

    service: Service
    circuit: Circuit
    retry: Retry
    hedge: Hedge
    pick: Pick


def build(
    table: EndpointTable,
    budget: Budget,
    *,
    worker: str,
    clock: Callable[[], float],
    call_soon: Callable[[Callable[[], None]], object],
) -> Pipeline:
    """Stacks the filters over the endpoints of `table`; `clock` is the event loop's."""

    def idempotent(request: InferRequest) -> bool:
        endpoints = table.serving(request.model, request.version)
        # Sequences carry state between requests: executing a step twice is not harmless.
        stateless = "sequence_id" not in request.parameters
        return stateless and all(
            e.signatures[request.model, request.version].idempotent for e in endpoints
        )

    pick = Pick(table, worker, clock, call_soon)
    budgets, poison = Budgets(budget, clock), Poison()
    circuit = Circuit()
    retry = Retry(budgets, poison, idempotent, pick.has_elsewhere, clock)
    hedge = Hedge(budgets, poison, idempotent, pick.has_elsewhere, clock)
    service = stack([Authorize(), Resolve(table), circuit, retry, hedge], pick)
    return Pipeline(service, circuit, retry, hedge, pick)
