"""Users count by the arms of their last request, each as often as users like it went unseen."""

from itertools import permutations
from typing import Any

import pytest

from routing.backtest.replay import Destination
from routing.backtest.users import BY_CHANCE, UNKNOWN, Users
from routing.decisions import Decision
from tests.routing.backtest.recorded_decisions import recorded
from tests.routing.rules.written_routes import principal, route, table

RULES = table(route())
(FRAUD,) = RULES.snapshots()
STABLE, CANARY = FRAUD.arms


def seen(user: bytes, arm: str = "stable", **changes: Any) -> Decision:
    return recorded(RULES, principal(), user=user, arm=arm, **changes)


def to(*arms: Any) -> Destination:
    return Destination(FRAUD, tuple((arm, 1 / len(arms)) for arm in arms))


def test_only_the_last_request_says_which_arms_a_user_has():
    users = Users()
    users.add(seen(b"a", "stable", weight=1.0), to(STABLE))
    users.add(seen(b"a", "canary", weight=1.0), to(STABLE))
    found = users.moves()
    assert {pair: each.estimate for pair, each in found.matrix.items()} == {
        ("canary", "stable"): 1.0
    }
    assert found.moved.estimate == 1.0


@pytest.mark.parametrize("weights", list(permutations([2.0, 4.0, 8.0])))
def test_a_user_is_seen_as_soon_as_one_of_its_records_is_so_the_least_weight_counts(weights):
    # The threshold moved: with weight 2, half of the users were seen, of whom this is one.
    users = Users()
    for weight in weights:
        users.add(seen(b"a", weight=weight), to(STABLE))
    assert users.moves().users.estimate == 2.0


def test_records_that_are_kept_each_for_itself_are_of_users_who_are_always_seen():
    users = Users()
    users.add(seen(b"a", weight=8.0), to(STABLE))
    users.add(seen(b"a", weight=8.0, whole=False), to(STABLE))
    assert users.moves().users.estimate == 1.0


def test_users_stand_for_those_that_were_not_seen():
    users = Users()
    for number in range(10):
        users.add(seen(bytes([number]), weight=3.0), to(CANARY if number < 4 else STABLE))
    found = users.moves()
    assert found.users.estimate == 30.0
    assert found.matrix["stable", "canary"].estimate == 12.0
    assert found.moved.estimate == pytest.approx(0.4)


def test_who_moves_is_said_of_users_whose_new_arm_is_known():
    users = Users()
    users.add(seen(b"a", weight=1.0), to(CANARY))
    users.add(seen(b"b", weight=1.0), to(STABLE, CANARY))
    users.add(seen(b"c", weight=1.0), Destination(None, undetermined="header x"))
    found = users.moves()
    assert found.users.estimate == 3.0
    assert found.moved.estimate == 1.0
    assert {("stable", BY_CHANCE), ("stable", UNKNOWN)} <= set(found.matrix)
