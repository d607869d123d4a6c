"""What is wrong is told in sentences, the worst first; nothing is told when all is well."""

from types import SimpleNamespace
from typing import Any

from gateway.console.alarms import FAILING, Alarm, alarms
from gateway.console.samples import IDLE
from protos import discovery_pb2 as pb


def lease(instance: str, state: "pb.LeaseState" = pb.HELD, **beat: Any) -> pb.Lease:
    return pb.Lease(beat=pb.Beat(instance=instance, **{"healthy": True, **beat}), state=state)


def told(
    *leases: pb.Lease,
    troubles: dict[str, int] | None = None,
    problem: str = "",
    unserved: dict[str, str] | None = None,
    rollouts: str = "",
    failing_audit: bool = False,
    failures: float = 0.0,
    workers: tuple[str, ...] = ("now", "now"),
    **snapshot: Any,
) -> list[Alarm]:
    seen = {"settled": True, **snapshot}
    hub = SimpleNamespace(
        snapshot=pb.Snapshot(leases=leases, **seen),
        applied={str(number): revision for number, revision in enumerate(workers)},
    )
    rules = SimpleNamespace(
        keeper=SimpleNamespace(problem=problem, revision="now"),
        rollouts=SimpleNamespace(problem=rollouts),
        unserved=unserved or {},
    )
    rates = IDLE._replace(failures=failures)
    history = SimpleNamespace(troubles=lambda: troubles or {}, rates=lambda key: rates)
    return alarms(hub, rules, history, failing_audit)  # type: ignore[arg-type]


WELL = lease("a")


def test_nothing_is_told_when_all_is_well():
    assert told(WELL) == []


def test_a_gateway_without_backends_says_so_once_it_has_waited():
    assert [each.title for each in told(settled=False)] == ["Starting"]
    assert [each.title for each in told()] == ["No backend has joined"]


def test_an_endpoint_in_doubt_warns_and_one_that_is_unhealthy_is_worse():
    silent, stuck = lease("b", pb.SUSPECT), lease("c", healthy=False, unhealthy_reason="the device")
    first, second = told(WELL, silent, stuck)
    assert (first.tone, first.title, first.sentence) == ("bad", "c is unhealthy", "the device.")
    assert (second.tone, second.title) == ("warn", "b is suspect")


def test_requests_that_fail_are_told_as_soon_as_their_figure_is_red():
    assert told(WELL, failures=FAILING / 2) == []
    (alarm,) = told(WELL, failures=0.091)
    assert (alarm.tone, alarm.title) == ("bad", "Requests fail")
    assert alarm.sentence == "9.1 % of the last minute’s were answered with 5xx."


def test_nothing_is_hidden_in_what_a_backend_says_and_long_texts_are_cut():
    said = "\u202e" + "x" * 3000
    (alarm,) = told(lease("b\u202e", healthy=False, unhealthy_reason=said))
    assert alarm.title == "b⟨U+202E⟩ is unhealthy"
    assert alarm.sentence.startswith("⟨U+202E⟩xxx")
    assert alarm.sentence.endswith("x… (3,001 characters).")


def test_an_endpoint_that_drains_is_meant_to():
    assert told(WELL, lease("b", draining=True)) == []


def test_a_bad_file_is_told_with_what_is_wrong_with_it():
    (alarm,) = told(WELL, problem="fraud.yaml:9: weight: must be at least 0")
    assert alarm.link == "/routes"
    assert "fraud.yaml:9: weight" in alarm.sentence


def test_what_else_can_be_wrong_has_its_alarm():
    assert [each.title for each in told(WELL, self_preservation=True)] == ["Self-preservation"]
    assert [each.title for each in told(WELL, workers=("now", "old"))] == ["Workers lag behind"]
    assert [each.title for each in told(WELL, unserved={"r/x": "no version 2"})] == [
        'Nobody serves "r/x"'
    ]
    assert [each.title for each in told(WELL, rollouts="OperationalError")] == [
        "Rollouts can't be looked at"
    ]
    assert [each.tone for each in told(WELL, failing_audit=True)] == ["bad"]


def test_what_happened_within_a_minute_is_counted():
    (alarm,) = told(WELL, troubles={"penstock_panic_picks": 1234})
    assert alarm.sentence.startswith("1,234 × an endpoint in doubt")


def test_the_worst_comes_first():
    found = told(lease("b", pb.SUSPECT), self_preservation=True, workers=("old",))
    assert [each.tone for each in found] == ["bad", "warn", "warn"]
