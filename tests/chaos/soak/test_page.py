"""The page of a soak."""

from collections import Counter

from chaos.soak.page import page
from chaos.soak.run import STEADY, Soak
from tests.chaos.soak.soak_samples import MIB, samples


def test_every_process_is_drawn_and_judged():
    said = page(Soak(samples(), Counter({("unary", "200"): 1234}), []), "About it.")
    assert "Nothing grew." in said
    assert "1,234" in said
    for name in STEADY:
        assert f"<h3>{name}</h3>" in said
        assert f"{name}: memory" in said
    assert said.count("<svg") > 6 * len(STEADY)
    assert "<script" not in said


def test_growth_and_errors_are_said():
    growing = samples(uss=lambda at: (100 + at) * MIB)
    statuses = Counter({("unary", "200"): 10, ("grpc", "INTERNAL"): 1})
    found = Soak(growing, statuses, [])
    assert "Not everything is flat." in page(found, "")
    broken = [each.what for each in found.verdicts() if not each.holds]
    assert broken == ["no 500", *(f"{name}: memory" for name in STEADY)]


def test_who_was_never_asked_proves_nothing():
    assert not Soak(samples(), Counter(), []).verdicts()[0].holds
