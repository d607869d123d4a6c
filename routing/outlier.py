"""Takes endpoints that fail out of the choice, and lets them back when a probe succeeds.

After Envoy's outlier detection, for each endpoint and model version apart: a model that fails on
one device says nothing of the others there.

What a model fails at may be the input's fault, so `MODEL_FAILED` is judged only against what its
peers fail at: a tenant whose inputs fail everywhere ejects nobody.
"""

from collections.abc import Iterable, Sequence
from math import sqrt
from typing import Protocol, TypeVar

from routing.breaker import Breaker, State

CONSECUTIVE = 5
AT_MOST = 0.5  # of a model version's endpoints are ejected at a time
ENOUGH = 50  # calls, of the endpoint and of its peers together, for rates to be compared
WORSE_BY = 0.10  # a difference in rates that matters
# Rates are compared at each failure, so chance must be all but excluded (one-sided p 3e-5).
SIGMAS = 4.0

ModelKey = tuple[str, str]


class Guarded(Protocol):
    """What the decisions need of an endpoint; one that `left` never comes back."""

    @property
    def left(self) -> bool: ...
    @property
    def usable(self) -> bool: ...
    @property
    def breakers(self) -> dict[ModelKey, Breaker]: ...


Each = TypeVar("Each", bound=Guarded)


class Outliers:
    """Decides over the endpoints of a model version; the breakers live with their endpoints."""

    def __init__(self) -> None:
        # Endpoints out of service, by model version. Kept here, as an ejected one may not be
        # serving for a while (its model is loaded anew) and is ejected still when it is back.
        self.troubled: dict[ModelKey, list[Guarded]] = {}
        self.ejections = 0

    def judge(self, endpoint: Guarded, key: ModelKey, peers: Sequence[Guarded], now: float) -> bool:
        """After a failure: ejects the endpoint if it is due; says whether it did."""
        breaker = endpoint.breakers.get(key)
        if breaker is None or breaker.state is not State.CLOSED:
            return False
        if breaker.consecutive < CONSECUTIVE and not _worse(breaker, endpoint, key, peers, now):
            return False
        out = sum(self.excludes(each, key) for each in peers)
        if out + 1 > AT_MOST * len(peers):
            return False
        breaker.eject(now)
        self.ejections += 1
        for other in list(self.troubled):
            self._forget(other)  # those of models that nobody asks for any more too
        self.troubled.setdefault(key, []).append(endpoint)
        return True

    def excludes(self, endpoint: Guarded, key: ModelKey) -> bool:
        breaker = endpoint.breakers.get(key)
        return breaker is not None and breaker.state is not State.CLOSED

    def due(self, key: ModelKey, peers: Iterable[Each], now: float) -> Each | None:
        """The endpoint of those now serving that should be probed now."""
        self._forget(key)
        for endpoint in peers:
            breaker = endpoint.breakers.get(key)
            if (
                breaker is not None
                and breaker.state is State.OPEN
                and now >= breaker.until
                and endpoint.usable
            ):
                return endpoint
        return None

    def _forget(self, key: ModelKey) -> None:
        """Drops whoever is back in service or gone for good."""
        out = [e for e in self.troubled.get(key, ()) if not e.left and self.excludes(e, key)]
        if out:
            self.troubled[key] = out
        else:
            self.troubled.pop(key, None)

    def __repr__(self) -> str:
        return f"<Outliers {self.ejections} ejections, trouble with {sorted(self.troubled)}>"


def _worse(
    breaker: Breaker, endpoint: Guarded, key: ModelKey, peers: Sequence[Guarded], now: float
) -> bool:
    """Whether the model fails here and not elsewhere (a test of two proportions, pooled).

    Envoy compares with the mean over hosts, in standard deviations; of three hosts none can be
    further than 1.16 from it, so each one is compared with all others together.
    """
    asked, failed = breaker.rate(now)
    if asked < ENOUGH:
        return False
    others_asked = others_failed = 0
    for peer in peers:
        theirs = peer.breakers.get(key)
        if peer is not endpoint and theirs is not None:
            n, k = theirs.rate(now)
            others_asked += n
            others_failed += k
    if others_asked < ENOUGH:
        return False
    difference = failed / asked - others_failed / others_asked
    if difference < WORSE_BY:
        return False
    pooled = (failed + others_failed) / (asked + others_asked)
    deviation = sqrt(pooled * (1 - pooled) * (1 / asked + 1 / others_asked))
    return difference > SIGMAS * deviation
