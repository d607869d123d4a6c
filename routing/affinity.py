"""Why an endpoint may be better for one request than for another: what it has kept of earlier ones.

Language models' backends keep the keys and values of prompts that they have seen, and adapters that
they have read; a request that finds its own there is answered sooner. By how many seconds is
measured by the backend and told in its beats, so that work saved and waiting are weighed alike.
"""

from collections.abc import Sequence
from math import inf

from protos.prefixes import Prefixes
from routing.endpoint import Endpoint

# An endpoint with more work than this waiting gets no more for what it has kept: the work saved
# would be less than the wait, and a popular prefix would make one endpoint everybody's.
OVERLOADED = 1.0  # seconds of predicted wait


class Affinity:
    """Compares endpoints by what they have kept; counts how it came out, since the start."""

    def __init__(self) -> None:
        self.kept = 0  # went to where the most was kept
        self.passed_over = 0  # something was kept, but the wait there was longer than what it saves
        self.unknown = 0  # nobody had anything

    def choose(
        self, endpoints: Sequence[Endpoint], model: str, prefixes: Prefixes, now: float
    ) -> Endpoint | None:
        """The endpoint that answers soonest thanks to what it has kept.

        None where nothing is kept, or where somebody without it answers sooner all the same: those
        are chosen among as ever.
        """
        best, least, most = None, inf, 0.0
        plain = inf  # the least cost among those that have kept nothing
        for endpoint in endpoints:
            saved = endpoint.kept.saves(model, prefixes)
            cost = endpoint.cost(now)
            most = max(most, saved)
            if saved <= 0.0 or endpoint.predicted_wait() > OVERLOADED:
                plain = min(plain, cost)
            elif cost - saved < least:
                best, least = endpoint, cost - saved
        if best is not None and least <= plain:
            self.kept += 1
            return best
        if most > 0.0:
            self.passed_over += 1
        else:
            self.unknown += 1
        return None

    def __repr__(self) -> str:
        return f"<Affinity {self.kept} kept, {self.passed_over} passed over>"
