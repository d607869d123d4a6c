"""Makes snapshots: of a document with what its rollout has made of it, and of no document."""

from math import fsum

from protos.route.document import Route, Spec
from protos.route.match import Backend, Match
from protos.route.mirror import Mirror
from protos.route.snapshot import Arm, Policies, RouteSnapshot
from routing.resolve import DEFAULT_ARM
from routing.rollout.identity import rollout_id
from routing.rules.effect import Effect

# What holds where no document says anything: the defaults, and versions are the client's business.
_NOTHING = Spec(
    match=(Match(model="*"),), backends=(Backend(name=DEFAULT_ARM, model="*"),), pins="any"
)


def snapshot(
    route: Route, revision: str, effect: Effect | None, policies: Policies | None = None
) -> RouteSnapshot:
    """The route in force. An effect of another rollout than the document's is no longer one.

    A rollout that nothing was heard of yet gives its candidate nothing, whatever weight is written.
    """
    spec = route.spec
    if effect is not None and (spec.rollout is None or effect.rollout != rollout_id(route)):
        effect = None
    weights = {arm.name: float(arm.weight) for arm in spec.backends}
    if spec.rollout is not None and spec.candidate is not None:
        percent = 0.0 if effect is None else effect.weight
        weights = _shared(weights, spec.candidate, percent, spec.rollout.analysis.baseline)
    return RouteSnapshot(
        route.metadata.name,
        revision,
        spec,
        tuple(
            Arm(arm.name, arm.model, arm.version, weights[arm.name], arm.fallback)
            for arm in spec.backends
        ),
        spec.mirror if effect is None else _mirrors(spec.mirror, effect.mirror),
        "" if effect is None else effect.rollout,
        policies=policies or {},
    )


def implicit(model: str, revision: str = "") -> RouteSnapshot:
    """The route of a model that no document names: the model itself, newest version first."""
    arms = (Arm(DEFAULT_ARM, model, "", 1.0),)
    return RouteSnapshot("", revision, _NOTHING, arms, implicit=True)


def _shared(
    written: dict[str, float], candidate: str, percent: float, baseline: str
) -> dict[str, float]:
    """Weights in percent: the candidate's, and the others' in proportion to what is written."""
    others = {name: weight for name, weight in written.items() if name != candidate}
    if not any(others.values()):
        others[baseline] = 1.0  # all weight was written for the candidate, which it may not have
    scale = (100.0 - percent) / fsum(others.values())
    return {name: percent if name == candidate else others[name] * scale for name in written}


def _mirrors(written: tuple[Mirror, ...], asked: Mirror | None) -> tuple[Mirror, ...]:
    if asked is None:
        return written
    target = (asked.model, asked.version)
    return (*(each for each in written if (each.model, each.version) != target), asked)
