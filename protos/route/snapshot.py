"""A route as it is in force: the document with what its rollout has made of it."""

from dataclasses import dataclass

from protos.route.document import Spec
from protos.route.mirror import Mirror


@dataclass(frozen=True, slots=True)
class Arm:
    """`weight` is the one in force; only the ratio between the arms of a route matters."""

    name: str
    model: str
    version: str
    weight: float
    fallback: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RouteSnapshot:
    """Pinned by a request when it is matched: what is loaded later doesn't touch that request.

    `revision` is the hash of all documents in force. Compared by identity, so that what is derived
    from a snapshot can be kept beside it.
    """

    name: str
    revision: str
    spec: Spec
    arms: tuple[Arm, ...]
    mirrors: tuple[Mirror, ...] = ()
    rollout: str = ""  # the id of the rollout that is under way
    implicit: bool = False  # no document: the model itself, newest version first

    def arm(self, name: str) -> Arm | None:
        return next((arm for arm in self.arms if arm.name == name), None)
