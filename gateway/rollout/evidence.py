"""What the record store has on a rollout under way."""

from math import ceil

from gateway.store.engine import Store
from routing.evidence.counts import ArmCounts, PairCounts
from routing.rollout.evidence import Evidence
from routing.rollout.state import RolloutState


def read_evidence(store: Store, state: RolloutState) -> Evidence:
    """What was told of this rollout's requests; raises SQLAlchemyError without the store."""
    # What replicas tell after a rollout has begun may be of requests that another one sent.
    arms = store.arms.sum(state.route, state.weight_since, rollout=state.id)
    return Evidence(
        candidate=arms.get(state.candidate) or ArmCounts(),
        baseline=arms.get(state.baseline) or ArmCounts(),
        pairs=read_pairs(store, state),
    )


def read_pairs(store: Store, state: RolloutState) -> PairCounts:
    """The pairs alone, from the first whole second on."""
    # Sums are of whole seconds, and stay when the pairs themselves are forgotten.
    return store.pairs.counts(state.route, since=ceil(state.since), rollout=state.id)
