"""Arms that lead nowhere are found, with what was probably meant."""

from gateway.routes.unserved import unserved
from protos import discovery_pb2 as pb
from protos.route.mirror import Mirror
from protos.route.snapshot import Arm, RouteSnapshot
from routing.rules.snapshot import implicit


def mesh(*models):
    snapshot = pb.Snapshot()
    beat = pb.Beat(instance="one")
    for name, version, state in models:
        beat.models.models.add(name=name, version=version, state=state)
    snapshot.leases.add(beat=beat)
    return snapshot


def route(*arms, mirrors=()):
    spec = implicit("any").spec
    return RouteSnapshot("fraud", "r", spec, tuple(Arm(*arm, 1.0) for arm in arms), mirrors)


def test_arms_that_are_served_are_not_told():
    served = mesh(("m", "1", pb.READY), ("m", "2", pb.READY))

    assert unserved([route(("a", "m", "1"), ("b", "m", ""))], served) == {}


def test_a_mistyped_model_has_a_hint():
    found = unserved([route(("a", "digts", ""))], mesh(("digits", "1", pb.READY)))

    assert found.keys() == {"fraud/a"}
    assert "did you mean" in found["fraud/a"]


def test_a_version_that_is_only_loading_is_not_served():
    served = mesh(("m", "1", pb.READY), ("m", "2", pb.LOADING))

    found = unserved([route(("b", "m", "2"))], served)

    assert found == {"fraud/b": "no backend serves m/2, but 1"}


def test_mirrors_are_looked_at_too():
    mirror = Mirror(backend="next", model="m", version="9", percent=5)

    found = unserved([route(("a", "m", "1"), mirrors=(mirror,))], mesh(("m", "1", pb.READY)))

    assert found.keys() == {"fraud/next"}
