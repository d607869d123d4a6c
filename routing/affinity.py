"""Why an endpoint may be better for one request than for another: what it has kept of earlier ones.

Language-model backends keep the keys and values of prompts they have seen, and adapters they have
loaded; a request that finds its own there is answered sooner. How much sooner is for a model's
`Affinity` to say; picking subtracts it from the endpoint's predicted cost.
"""

from typing import Protocol

from protos.values import InferRequest
from routing.endpoint import Endpoint

# An endpoint with more work than this waiting gets no more for what it has kept: the work saved
# would be less than the wait, and a popular prefix would make one endpoint everybody's.
OVERLOADED = 1.0  # seconds of predicted wait


class Affinity(Protocol):
    """Of one model. Asked on the request path, so it must be quick and must not wait."""

    def score(self, request: InferRequest, endpoint: Endpoint) -> float:
        """Seconds of work that `endpoint` would be saved by what it has kept; 0 for none."""
        ...


def cost(affinity: Affinity, request: InferRequest, endpoint: Endpoint, now: float) -> float:
    """The endpoint's cost for this request, in seconds; below zero if much is saved."""
    whole = endpoint.cost(now)
    if endpoint.predicted_wait() > OVERLOADED:
        return whole
    return whole - affinity.score(request, endpoint)
