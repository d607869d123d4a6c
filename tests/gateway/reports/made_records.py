"""Seeded records as a mirror would have left them, with planted differences."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random

from routing.shadow.record import Outcome, PairRecord, Side, Status

NOW = 1_790_000_000.0  # a Monday in September 2026
DAY = 86_400.0
SINCE = NOW - DAY

TENANTS = ("acme-bank", "northwind", "initech", "umbrella", "globex", "stark", "wayne", "tyrell")
LABELS = ("approve", "review", "decline", "refer")
SHAPES = ("x FP32[1,64]", "x FP32[8,64]", "x FP32[32,64]")


@dataclass(frozen=True, slots=True)
class Made:
    """`flips` and `noise` are shares of pairs in which candidate and second primary differ.

    `flips_of` replaces it for tenants or labels. `slower` is the candidate's time by the primary's.
    """

    flips: float = 0.01
    noise: float = 0.01
    noise_sample: float = 0.5
    flips_of: Mapping[str, float] = field(default_factory=dict)
    slower: float = 1.0
    dropped: float = 0.005
    failed: float = 0.001
    incomparable: float = 0.0
    primary_failed: float = 0.001
    drift: float = 0.0
    mirror: str = "candidate"
    version: str = "5"
    route: str = "fraud"
    seed: int = 7


def records(n: int, made: Made | None = None) -> Iterator[PairRecord]:
    """`n` records evenly over a day, later ones more often from the second half's tenants."""
    made = made or Made()
    rng = Random(made.seed)
    for index in range(n):
        yield _record(index, SINCE + DAY * (index + 0.5) / n, made, rng)


def _record(index: int, at: float, made: Made, rng: Random) -> PairRecord:
    tenant = TENANTS[min(int(rng.expovariate(0.6)), len(TENANTS) - 1)]
    label = LABELS[min(int(rng.expovariate(0.9)), len(LABELS) - 1)]
    shape = SHAPES[min(int(rng.expovariate(1.2)), len(SHAPES) - 1)]
    status = _status(made, rng)
    base = rng.lognormvariate(-4.6, 0.35)
    queue = rng.expovariate(1 / 0.0008)
    primary = Side(base + queue, base, queue, base * 0.8, 96, 1)
    own = base * made.slower * rng.lognormvariate(0.0, 0.08)
    wait = rng.expovariate(1 / 0.002)
    candidate = Side(own + wait, own, wait, own * 0.8, 96 + (rng.random() < 0.02) * 8, 1)
    outcome, noise = Outcome(None), None
    if status == "compared":
        flips = made.flips_of.get(tenant, made.flips_of.get(label, made.flips))
        score = min(1.0, max(0.0, rng.betavariate(2, 6)))
        outcome = _outcome(rng.random() >= flips, label, score, made, rng)
        if rng.random() < made.noise_sample:
            agrees = rng.random() >= made.noise
            noise = Outcome(agrees, 0.0 if agrees else rng.random(), label=label)
    elif status == "candidate_failed":
        candidate = Side(error=rng.choice(("unavailable", "deadline", "model_failed")))
    elif status == "primary_failed":
        primary = Side(seconds=0.03, error="unavailable")
    elif status == "dropped":
        candidate = Side()
        outcome = Outcome(None, reason="too many copies are under way")
    else:
        outcome = Outcome(None, reason="an answer is too large to be compared")
    return PairRecord(
        at=at,
        route=made.route,
        mirror=made.mirror,
        arm="stable",
        model="fraud",
        version=made.version,
        primary_version="3",
        tenant=tenant,
        trace_id=f"{rng.getrandbits(128):032x}",
        request_id=f"req-{index:07d}",
        kind="scores",
        status=status,
        primary=primary,
        candidate=candidate,
        outcome=outcome,
        noise=noise,
        shape=shape,
    )


def _status(made: Made, rng: Random) -> Status:
    die = rng.random()
    shares: tuple[tuple[Status, float], ...] = (
        ("dropped", made.dropped),
        ("candidate_failed", made.failed),
        ("incomparable", made.incomparable),
        ("primary_failed", made.primary_failed),
    )
    for status, share in shares:
        if die < share:
            return status
        die -= share
    return "compared"


def _outcome(agrees: bool, label: str, score: float, made: Made, rng: Random) -> Outcome:
    other = min(1.0, max(0.0, score + made.drift + rng.gauss(0.0, 0.004)))
    distance = 0.0 if agrees else rng.expovariate(2.0)
    measures = {
        "score_primary": score,
        "score_candidate": other,
        "max_abs_error": abs(other - score),
    }
    reason = "" if agrees else "scores differ"
    return Outcome(agrees, distance, measures, reason, label)
