"""What kills its backends is refused within its tenant, for a while, by all workers."""

from dataclasses import replace

from protos.values import Chat
from routing.poison import POISON_ENTRIES, POISON_TTL, Poison, fingerprint
from tests.routing.test_retry import request


def test_what_is_asked_in_openais_form_has_a_fingerprint_of_its_own():
    asked = [replace(request(), payload=Chat({"messages": [text]})) for text in ("a", "a", "b")]
    first, again, other = map(fingerprint, asked)
    assert first == again != other


def test_poison_is_forgotten_in_the_end():
    poison = Poison()
    poison.add(request(), 0.0)
    assert poison.holds(request(), POISON_TTL - 1)
    assert not poison.holds(request(), POISON_TTL + 1)


def test_what_was_found_is_told_once_and_at_once():
    told = []
    poison = Poison(lambda: told.append("found"))
    poison.add(request(), 0.0)
    assert told == ["found"]
    assert poison.take() == [fingerprint(request())]
    assert poison.take() == []


def test_what_others_found_is_refused_for_as_long_as_they_refuse_it():
    found, other = Poison(), Poison()
    found.add(request(), 0.0)
    for key, seconds in found.known(100.0).items():
        other.learn(key, 7000.0 + seconds)
    assert other.holds(request(), 7000.0 + POISON_TTL - 101)
    assert not other.holds(request(), 7000.0 + POISON_TTL - 99)
    assert other.take() == []


def test_it_is_bounded_and_forgets_the_oldest():
    poison = Poison()
    for number in range(POISON_ENTRIES + 1):
        poison.add(request(data=number.to_bytes(4, "little")), 0.0)
    assert not poison.holds(request(), 1.0)
    assert len(poison.known(1.0)) == len(poison.take()) == POISON_ENTRIES
