"""A route as it is in force: the document with what its rollout has made of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from protos.route.document import Spec
from protos.route.mirror import Mirror
from protos.settings import Settings

Policies = Mapping[tuple[str, str], Settings]  # the documents of policies, by kind and name


@dataclass(frozen=True, slots=True)
class Arm:
    """`weight` is the one in force; only the ratio between the arms of a route matters."""

    name: str
    model: str
    version: str
    weight: float
    fallback: str | None = None


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class RouteSnapshot:
    """Pinned by a request when it is matched: what is loaded later doesn't touch that request.

    `revision` is the hash of all documents in force. Compared by identity, so that what is derived
    from a snapshot can be kept beside it. `policies` has the documents that `spec` refers to, among
    others.
    """

    name: str
    revision: str
    spec: Spec
    arms: tuple[Arm, ...]
    mirrors: tuple[Mirror, ...] = ()
    rollout: str = ""  # the id of the rollout that is under way
    implicit: bool = False  # no document: the model itself, newest version first
    policies: Policies = field(default_factory=dict, repr=False)

    def arm(self, name: str) -> Arm | None:
        return next((arm for arm in self.arms if arm.name == name), None)
