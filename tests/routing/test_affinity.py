"""What an endpoint has kept makes it cheaper for some requests, unless it is overloaded."""

from types import SimpleNamespace

import pytest

from routing.affinity import OVERLOADED, cost
from routing.aperture import Aperture
from routing.pick import Pick
from tests.routing.routed import routed


class Endpoint:
    def __init__(self, instance, wait):
        self.instance = instance
        self.wait = wait
        self.usable = self.possible = True
        self.exchange = SimpleNamespace(in_flight=0)
        self.breakers = {}

    def predicted_wait(self):
        return self.wait

    def cost(self, now):
        return self.wait


class Kept:
    """Half a second of work is saved where `kept` names the endpoint for this request's bytes."""

    def __init__(self, kept):
        self.kept = kept

    def score(self, request, endpoint):
        return 0.5 if self.kept.get(bytes(request.payload.tensors[0].data)) == endpoint else 0.0


@pytest.fixture
def endpoints():
    return [Endpoint(name, wait) for name, wait in (("a", 0.0), ("b", 0.1), ("c", 0.2))]


def pick(endpoints, affinities):
    table = SimpleNamespace(serving=lambda model, version: tuple(endpoints))
    return Pick(table, "w", lambda: 0.0, lambda callback: None, affinities=affinities)


def test_what_is_saved_is_weighed_against_what_is_waited(endpoints):
    assert cost(Kept({b"p": endpoints[2]}), routed(data=b"p"), endpoints[2], 0.0) == -0.3


def test_the_endpoint_that_kept_a_requests_prefix_is_picked_for_it(endpoints):
    picking = pick(endpoints, {"m": Kept({b"p": endpoints[1], b"q": endpoints[2]})})
    assert picking.choose(routed(data=b"p")) is endpoints[1]
    assert picking.choose(routed(data=b"q")) is endpoints[2]  # in the same turn
    assert picking.choose(routed(data=b"r")) is endpoints[0]


def test_an_overloaded_endpoint_gets_no_more_for_what_it_has_kept(endpoints):
    endpoints[2].wait = OVERLOADED + 0.1
    for other in endpoints[:2]:
        other.wait = OVERLOADED
    assert (
        pick(endpoints, {"m": Kept({b"p": endpoints[2]})}).choose(routed(data=b"p"))
        in endpoints[:2]
    )


def test_models_without_affinity_are_picked_by_cost(endpoints):
    assert pick(endpoints, {"other": Kept({})}).choose(routed()) is endpoints[0]


def test_of_many_endpoints_the_one_with_the_prefix_is_found():
    many = [Endpoint(f"e{n}", 0.0) for n in range(16)]
    picking = pick(many, {"m": Kept({b"p": many[11]})})
    picking._apertures["m", "1"] = Aperture("w")
    picking._apertures["m", "1"].width = len(many)
    assert {picking.choose(routed(data=b"p")).instance for _ in range(50)} == {"e11"}


def test_another_attempt_goes_elsewhere_whatever_was_kept(endpoints):
    picking = pick(endpoints, {"m": Kept({b"p": endpoints[1]})})
    assert picking.choose(routed(data=b"p", tried=["b"])) is endpoints[0]
