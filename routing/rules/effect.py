"""What a rollout has made of its route."""

from dataclasses import dataclass

from protos.route.mirror import Mirror


@dataclass(frozen=True, slots=True)
class Effect:
    """The candidate's weight in percent; the other arms share the rest as the document has it.

    `rollout` is the rollout's id, `candidate` an arm's name. `mirror` is what a mirror step asks
    for; it takes the place of a mirror of the document to the same model and version.
    """

    route: str
    rollout: str
    candidate: str
    weight: float
    mirror: Mirror | None = None
