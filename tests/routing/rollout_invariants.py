"""What always holds of a route's arms and its rollout, whatever befalls the mesh."""

from itertools import pairwise
from math import inf

from gateway.rollout.controller import LOOK_INTERVAL
from routing.rollout.event import CONTROLLER
from routing.rollout.state import TERMINAL, TRANSITIONS
from tests.routing.simulated_faults import PERSON
from tests.routing.simulated_history import Choice, History
from tests.routing.simulated_mesh import SETTLED
from tests.routing.simulated_routes import CANARY, ERRORS, PLANS, STABLE
from tests.routing.simulated_store import Written

# Harm that anybody can see: so many requests of each arm since the weight was given, nearly all of
# the baseline's well, and so many more of the candidate's not.
MANY = 50
WELL = 0.1
MUCH_WORSE = 0.3
SEEN_WITHIN = 5.0  # seconds: a request ends, is told, and is looked at


def has_rollout(history: History) -> bool:
    return history.plan is not None and PLANS[history.plan] is not None


def divided(history: History) -> list[Choice]:
    """The choices that were the split's and not the client's."""
    return [choice for choice in history.choices if not choice.version]


def the_candidate_gets_nobody_while_its_weight_is_0(history: History) -> bool:
    """Choices are made once a request: one that is in flight when the weight falls stays there."""
    to_candidate = {c.request for c in history.choices if c.arm == CANARY["name"]}
    return all(
        choice.weight > 0 for choice in divided(history) if choice.arm == CANARY["name"]
    ) and all(
        attempt.request in to_candidate
        for attempt in history.attempts
        if attempt.version == CANARY["version"]
    )


def the_candidate_gets_everybody_at_100(history: History) -> bool:
    return all(
        choice.arm == CANARY["name"] for choice in divided(history) if choice.weight == 100.0
    )


def users_change_arms_only_towards_the_one_that_is_raised(history: History) -> bool:
    last: dict[str, Choice] = {}
    for choice in divided(history):
        before = last.get(choice.user)
        if choice.user and before is not None and choice.arm != before.arm:
            raised = CANARY["name"] if choice.weight > before.weight else STABLE["name"]
            if choice.weight == before.weight or choice.arm != raised:
                return False
        last[choice.user] = choice
    return True


def what_is_in_force_was_written_before(history: History) -> bool:
    """Or it is nothing at all, for a process that hasn't heard of the rollout yet."""
    if not has_rollout(history):
        written_weight = 0.0 if history.plan is None else CANARY["weight"]
        return not history.published and all(
            (choice.rollout, choice.weight) == ("", written_weight) for choice in history.choices
        )
    since: dict[tuple[str, float], float] = {("", 0.0): 0.0}
    for each in history.written:
        since.setdefault((each.state.id, each.state.weight), each.at)
    applied = [*history.published, *history.choices]
    return all(since.get((each.rollout, each.weight), inf) <= each.at for each in applied)


def what_is_over_takes_its_traffic_back(history: History) -> bool:
    """Within two looks of each gateway at a store that answers, and for good."""
    weights = {
        each.state.id: (_heard(history, each.at), each.state.weight)
        for each in history.written
        if each.state.status in TERMINAL
    }
    for choice in history.choices:
        heard, weight = weights.get(choice.rollout, (inf, 0.0))
        if heard < choice.at < SETTLED and choice.weight != weight:
            return False
    return True


def _heard(history: History, at: float) -> float:
    """When every gateway has looked again after that time, and the store has answered it."""
    heard = at + 2 * LOOK_INTERVAL
    for trouble in history.troubles:
        if at <= trouble <= heard:
            heard = trouble + 2 * LOOK_INTERVAL
    return heard


def what_is_over_stays_so(history: History) -> bool:
    over = set()
    for each in history.written:
        if each.state.id in over:
            return False
        if each.state.status in TERMINAL:
            over.add(each.state.id)
    return True


def every_change_has_its_record(history: History) -> bool:
    return all(map(_recorded, history.written)) and all(
        later.previous == earlier.state for earlier, later in pairwise(history.written)
    )


def _recorded(change: Written) -> bool:
    """The events lead from the state before to the one after, a version for each."""
    previous, state, events = change.previous, change.state, change.events
    last = events[-1]
    if (last.rollout, last.to_status, last.step) != (state.id, state.status, state.step):
        return False
    if (last.weight, last.reason) != (state.weight, state.reason):
        return False
    if previous is None or previous.id != state.id:
        begins = ["begin"]
        if previous is not None and previous.status not in TERMINAL:
            begins = ["supersede", "begin"]
        version = 1 if previous is None else previous.version + 1
        return [event.action for event in events] == begins and state.version == version
    status = previous.status
    for event in events:
        if event.from_status != status or event.to_status not in TRANSITIONS[status]:
            return False
        status = event.to_status
    return state.version == previous.version + len(events)


def the_weight_is_that_of_the_steps(history: History) -> bool:
    """None before the first `setWeight`, nor after a rollback or an abort; all at the end."""
    if not has_rollout(history):
        return not history.written
    steps = PLANS[history.plan]["steps"]
    for each in history.written:
        state = each.state
        weights = [step["setWeight"] for step in steps[: state.step + 1] if "setWeight" in step]
        wanted = weights[-1] if weights else 0.0
        if state.status in TERMINAL:
            wanted = 100.0 if state.status == "completed" else 0.0
        if state.weight != wanted:
            return False
    return True


def only_one_leads_at_a_time(history: History) -> bool:
    """Whatever the controllers write carries a lead, and the epochs of these only grow."""
    holders: dict[int, str] = {}
    epochs = []
    for each in history.written:
        by_controller = {event.actor for event in each.events} == {CONTROLLER}
        by_person = {event.actor for event in each.events} == {PERSON}
        if not (by_controller if each.fence is not None else by_person):
            return False
        if each.fence is not None:
            epochs.append(each.fence.epoch)
            if holders.setdefault(each.fence.epoch, each.fence.holder) != each.fence.holder:
                return False
    return epochs == sorted(epochs)


def controllers_have_no_trouble_of_their_own(history: History) -> bool:
    return not history.problems


def gateways_agree_after_healing(history: History) -> bool:
    return not history.unsettled


def nobody_can_see_harm_that_goes_on(history: History) -> bool:
    under_way = history.written and history.written[-1].state.status not in TERMINAL
    return not (under_way and _harm(history))


def _harm(history: History) -> bool:
    """Seen from outside, since the candidate got the weight that it has."""
    analysis = PLANS[history.plan]["analysis"]
    if analysis["metrics"][0] != ERRORS or "onFail" in analysis:
        return False
    if history.crashes or any(fault.startswith("clock") for _, fault, _ in history.faults):
        return False  # some of what was seen from outside may be in no count
    given = history.written[-1].state.weight_since
    since = next(each.at for each in history.written if each.state.weight_since == given)
    failed: dict[str, list[bool]] = {CANARY["name"]: [], STABLE["name"]: []}
    for asked in history.asked.values():
        counts = asked.arm and not asked.pinned and not asked.clients_fault
        if counts and since < asked.at < SETTLED - SEEN_WITHIN:
            failed[asked.arm].append(asked.outcome is not None)
    canary, stable = failed[CANARY["name"]], failed[STABLE["name"]]
    if min(len(canary), len(stable)) < MANY:
        return False
    normal = sum(stable) / len(stable)
    return normal <= WELL and sum(canary) / len(canary) - normal >= MUCH_WORSE


INVARIANTS = (
    the_candidate_gets_nobody_while_its_weight_is_0,
    the_candidate_gets_everybody_at_100,
    users_change_arms_only_towards_the_one_that_is_raised,
    what_is_in_force_was_written_before,
    what_is_over_takes_its_traffic_back,
    what_is_over_stays_so,
    every_change_has_its_record,
    the_weight_is_that_of_the_steps,
    only_one_leads_at_a_time,
    controllers_have_no_trouble_of_their_own,
    gateways_agree_after_healing,
    nobody_can_see_harm_that_goes_on,
)
