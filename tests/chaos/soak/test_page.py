"""The page of a soak, and what is held against one."""

import pytest

from chaos.soak.page import page
from chaos.soak.run import KILL, STEADY, UNTOLD, Soak
from chaos.verdict import Step
from tests.chaos.soak.soak_samples import MIB, samples, well


def broken(found: Soak) -> list[str]:
    return [each.what for each in found.verdicts() if not each.holds]


def test_every_process_is_drawn_and_judged():
    said = page(Soak(samples(), well(), []), "About it.")
    assert "Nothing grew." in said
    assert "1,000" in said
    for name in STEADY:
        assert f"<h3>{name}</h3>" in said
        assert f"{name}: memory" in said
    assert said.count("<svg") > 6 * len(STEADY)
    assert "<script" not in said


def test_growth_is_said():
    found = Soak(samples(uss=lambda at: (100 + at) * MIB), well(), [])
    assert "Not everything is flat." in page(found, "")
    assert broken(found) == [f"{name}: memory" for name in STEADY]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("unary", "ServerDisconnectedError"),
        ("unary", "no answer"),
        ("kept", "500"),
        ("text", "502"),
        ("stream", "200, cut"),
        ("grpc", "INTERNAL"),
        ("over its limit", "ClientOSError"),
        ("rubbish", "200"),
        ("broken", "no answer"),
        ("stranger", "IndexError"),
    ],
)
def test_one_answer_that_nobody_should_get_is_seen(kind, status):
    statuses = well()
    statuses[kind, status] += 1
    (what,) = broken(Soak(samples(), statuses, []))
    assert what.startswith(f"{kind}: ")


@pytest.mark.parametrize(("refused", "holds"), [(1, True), (3, False)])
def test_few_may_be_refused(refused, holds):
    statuses = well()
    statuses["unary", "503"] = refused
    statuses["grpc", "UNAVAILABLE"] = refused
    assert (broken(Soak(samples(), statuses, [])) == []) is holds


def test_a_backend_that_is_killed_may_cut_its_stream():
    statuses = well()
    statuses["stream", "200, cut"] = 2
    kills = [Step(f"{KILL} b1", 1.0), Step(f"{KILL} b2", 2.0)]
    assert broken(Soak(samples(), statuses, kills)) == []
    assert len(broken(Soak(samples(), statuses, kills[:1]))) == 1


def test_who_was_never_asked_proves_nothing():
    for kind in ("unary", "stranger"):
        statuses = well()
        for of, status in list(statuses):
            if of == kind:
                statuses[of, status] = 0
        assert len(broken(Soak(samples(), statuses, []))) == 1


def test_a_gateway_that_seldom_tells_is_not_known_to_be_flat():
    silent = Step(f"{UNTOLD}: ReadTimeout", 1.0)
    assert broken(Soak(samples(), well(), [silent])) == []
    assert broken(Soak(samples(), well(), [silent] * 9)) == ["the gateway tells of itself"]
    assert len(broken(Soak([], well(), []))) == 4 * 5
