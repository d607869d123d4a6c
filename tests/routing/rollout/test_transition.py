"""The table of statuses is the only way from one to another."""

from dataclasses import replace
from itertools import product
from typing import get_args

import pytest

from routing.rollout.begin import begin
from routing.rollout.state import TERMINAL, TRANSITIONS, RolloutState, Status
from routing.rollout.transition import IllegalTransition, move
from tests.routing.rollout.made_routes import route

STATUSES: tuple[Status, ...] = get_args(Status)


def at(status: Status) -> RolloutState:
    return replace(begin(route(), 0.0), status=status)


@pytest.mark.parametrize(("before", "after"), list(product(STATUSES, STATUSES)))
def test_a_move_is_made_exactly_if_the_table_has_it(before: Status, after: Status):
    def attempt():
        return move(at(before), after, 7.0, actor="a@t", action="try", reason="why", weight=5.0)

    if after not in TRANSITIONS[before]:
        with pytest.raises(IllegalTransition, match=f"{before} to {after}"):
            attempt()
        return
    moved, event = attempt()
    assert (moved.status, moved.version) == (after, at(before).version + 1)
    assert (event.from_status, event.to_status) == (before, after)
    assert (event.at, event.actor, event.reason) == (7.0, "a@t", "why")
    assert event.weight == moved.weight == 5.0


def test_every_status_is_in_the_table_and_the_terminal_ones_lead_nowhere():
    assert set(TRANSITIONS) == set(STATUSES)
    assert {status for status, after in TRANSITIONS.items() if not after} == TERMINAL
