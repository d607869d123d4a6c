"""What an endpoint has kept makes it cheaper for some requests, unless it is overloaded."""

from types import SimpleNamespace

import pytest

from protos.prefixes import NONE, prefixes_of
from protos.principal import Principal
from protos.timeline import Timeline
from protos.values import Context, InferRequest, Prompt
from routing.affinity import OVERLOADED, Affinity
from routing.pick import Pick


class Kept:
    """Half a second of work is saved for the prompts that it was given."""

    def __init__(self):
        self.names = set()

    def saves(self, model, prefixes):
        return 0.5 if self.names & set(prefixes.names) else 0.0

    def sent(self, prefixes):
        self.names.update(prefixes.names)


class Endpoint:
    def __init__(self, instance, wait):
        self.instance = instance
        self.wait = wait
        self.kept = Kept()
        self.usable = self.possible = True
        self.exchange = SimpleNamespace(in_flight=0)
        self.breakers = {}

    def predicted_wait(self):
        return self.wait

    def cost(self, now):
        return self.wait


@pytest.fixture
def endpoints():
    return [Endpoint(name, wait) for name, wait in (("a", 0.0), ("b", 0.1), ("c", 0.2))]


def pick(endpoints):
    table = SimpleNamespace(
        serving=lambda model, version: tuple(endpoints), keeping={("m", "1")} if endpoints else ()
    )
    return Pick(table, "w", lambda: 0.0, lambda callback: None)


def prompt(text, model="m", tried=()):
    context = Context(Principal("s", "t", frozenset()), 100.0, Timeline(0.0))
    context.timeline.instances.extend(tried)
    return InferRequest("", model, "1", Prompt({"prompt": text * 100}), {}, context)


def prefixes(text):
    return prefixes_of(prompt(text).payload, "t", "m")


def test_the_endpoint_that_kept_a_prompts_beginning_is_picked_for_it(endpoints):
    endpoints[1].kept.sent(prefixes("one"))
    endpoints[2].kept.sent(prefixes("two"))
    picking = pick(endpoints)
    assert picking.choose(prompt("one")) is endpoints[1]
    assert picking.choose(prompt("two")) is endpoints[2]
    assert picking.affinity.kept == 2


def test_of_two_that_kept_it_the_one_that_answers_sooner_is_picked(endpoints):
    for endpoint in endpoints[1:]:
        endpoint.kept.sent(prefixes("one"))
    assert pick(endpoints).choose(prompt("one")) is endpoints[1]


def test_what_is_sent_somewhere_is_known_to_be_there_at_once(endpoints):
    picking = pick(endpoints)
    first = picking.choose(prompt("new"))
    assert first is endpoints[0]
    first.wait = 0.3
    assert picking.choose(prompt("new")) is first
    assert picking.choose(prompt("other")) is not first
    assert picking.affinity.unknown == 2


def test_what_is_saved_is_weighed_against_what_is_waited(endpoints):
    endpoints[2].kept.sent(prefixes("one"))
    endpoints[2].wait = 0.6
    picking = pick(endpoints)
    assert picking.choose(prompt("one")) is endpoints[0]
    assert picking.affinity.passed_over == 1


def test_an_overloaded_endpoint_gets_no_more_for_what_it_has(endpoints):
    endpoints[0].wait = endpoints[2].wait = OVERLOADED + 0.1
    endpoints[1].wait = OVERLOADED + 0.2
    endpoints[1].kept.sent(prefixes("one"))
    assert pick(endpoints).choose(prompt("one")) is not endpoints[1]


def test_models_that_keep_nothing_are_picked_by_cost(endpoints):
    endpoints[1].kept.sent(prefixes("one"))
    picking = pick(endpoints)
    assert picking.choose(prompt("one", model="other")) is endpoints[0]
    assert repr(picking.affinity) == "<Affinity 0 kept, 0 passed over>"


def test_of_many_endpoints_the_one_with_the_prefix_is_found_outside_the_aperture():
    many = [Endpoint(f"e{n}", 0.0) for n in range(16)]
    many[11].kept.sent(prefixes("one"))
    picking = pick(many)
    assert {picking.choose(prompt("one")).instance for _ in range(50)} == {"e11"}


def test_another_attempt_goes_elsewhere_whatever_was_kept(endpoints):
    endpoints[1].kept.sent(prefixes("one"))
    assert pick(endpoints).choose(prompt("one", tried=["b"])) is endpoints[0]


def test_nobody_is_preferred_where_nothing_is_kept(endpoints):
    assert Affinity().choose(endpoints, "m", NONE, 0.0) is None
