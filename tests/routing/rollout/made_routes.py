"""Routes with a rollout, and evidence by figures."""

from typing import Any

import numpy as np

from protos.route.document import Route
from protos.route.rollout import Rollout
from routing.evidence.counts import ArmCounts, PairCounts
from routing.evidence.histogram import Histogram
from routing.rollout.evidence import Evidence
from routing.rollout.identity import parts

ERRORS = {"name": "error_rate", "maxDelta": "0.5pp"}
LATENCY = {"name": "latency_p99", "maxRatio": 1.2}
DISAGREEMENT = {"name": "disagreement", "maxAboveNoise": "1pp"}

MIRROR = {"mirror": {"percent": 20, "until": {"samples": 2000, "for": "1h"}}}
CANARY = {"setWeight": 5}
ANALYSIS = {"analysis": {"for": "15m"}}
PAUSE: dict[str, Any] = {"pause": {}}
STEPS = (MIRROR, CANARY, ANALYSIS, {"setWeight": 50}, PAUSE)


def route(
    *steps: dict[str, Any],
    name: str = "fraud",
    version: str = "4",
    metrics: tuple[dict[str, Any], ...] = (ERRORS,),
    mirror: tuple[dict[str, Any], ...] = (),
    weight: int = 5,
    **analysis: Any,
) -> Route:
    """`stable` 3 against `canary` 4 of the model `fraud`."""
    return Route.model_validate(
        {
            "apiVersion": "penstock/v1",
            "kind": "Route",
            "metadata": {"name": name},
            "spec": {
                "match": ({"model": "fraud"},),
                "backends": (
                    {"name": "stable", "model": "fraud", "version": "3", "weight": 95},
                    {"name": "canary", "model": "fraud", "version": version, "weight": weight},
                ),
                "mirror": mirror,
                "rollout": {
                    "steps": steps or STEPS,
                    "analysis": {"baseline": "stable", "metrics": metrics, **analysis},
                },
            },
        }
    )


def rollout(*steps: dict[str, Any], **options: Any) -> Rollout:
    found, _, _ = parts(route(*steps, **options))
    return found


def arm(requests: int, errors: int = 0, seconds: float = 0.01) -> ArmCounts:
    latency = Histogram()
    latency.add(seconds)
    (bucket,) = latency.counts
    return ArmCounts(requests, errors, Histogram({bucket: requests - errors}))


def pairs(compared: int, differ: int = 0, noise: int = 0, sampled: int | None = None) -> PairCounts:
    """Each with its noise measured."""
    return PairCounts(
        only_candidate=differ,
        only_noise=noise,
        neither=compared - differ - noise,
        sampled=compared if sampled is None else sampled,
    )


NOTHING = Evidence()
GOOD = Evidence(arm(20_000, 40), arm(380_000, 760), pairs(20_000, 20, 20))
HARM = Evidence(arm(2_000, 60), arm(38_000, 76))
UNDECIDED = Evidence(arm(600, 3), arm(11_400, 23), pairs(600, 6, 6))


def drawn(rng: np.random.Generator, candidate: float, baseline: float, n: int) -> Evidence:
    """`n` requests of the candidate at 5 %, with such shares of errors."""
    return Evidence(
        arm(n, int(rng.binomial(n, candidate))), arm(19 * n, int(rng.binomial(19 * n, baseline)))
    )
