"""Engines are told by instance, for as long as their lease lasts."""

import pytest

from gateway.language_metrics import MOST_ADAPTERS, register_engines, register_picks
from gateway.metrics import Totals
from protos import discovery_pb2 as pb
from routing.affinity import Affinity
from tests.gateway.telemetry.collected import collected


def lease(instance: str, *models: pb.LanguageModel) -> pb.Lease:
    return pb.Lease(beat=pb.Beat(instance=instance, load=pb.Load(language=models)))


@pytest.fixture
def leases() -> list[pb.Lease]:
    return []


@pytest.fixture
def totals(leases) -> Totals:
    made = Totals()
    register_engines(made, lambda: leases)
    return made


def samples(totals: Totals) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for metric in collected(totals.families())
        for sample in metric.samples
    }


def test_each_engine_has_series_of_its_own(totals, leases):
    told = pb.LanguageModel(
        model="m",
        waiting=2,
        running=3,
        cache_use=0.5,
        preemptions=1,
        prompt_tokens=100,
        cached_tokens=40,
        drafted_tokens=9,
        accepted_tokens=6,
        generated_tokens={"": 70, "legal": 5},
        adapters=["m:legal"],
    )
    leases += [lease("one", told, pb.LanguageModel(model="n")), lease("two", told)]
    found = samples(totals)
    for name, value in {
        "waiting": 2,
        "running": 3,
        "cache_use_ratio": 0.5,
        "preemptions_total": 1,
        "prompt_tokens_total": 100,
        "cached_tokens_total": 40,
        "drafted_tokens_total": 9,
        "accepted_tokens_total": 6,
    }.items():
        assert found[f"penstock_llm_{name}", "one", "m"] == value
        assert found[f"penstock_llm_{name}", "two", "m"] == value
        assert found[f"penstock_llm_{name}", "one", "n"] == 0
    assert found["penstock_llm_generated_tokens_total", "one", "m", ""] == 70
    assert found["penstock_llm_generated_tokens_total", "one", "m", "legal"] == 5
    assert found["penstock_llm_adapter_loaded", "two", "m", "legal"] == 1


def test_series_end_with_the_lease(totals, leases):
    leases.append(lease("one", pb.LanguageModel(model="m", prompt_tokens=5)))
    assert samples(totals)
    leases.clear()
    assert samples(totals) == {}


def test_of_many_adapters_the_rest_are_others_together(totals, leases):
    names = [f"a{number:05}" for number in range(10_000)]
    told = pb.LanguageModel(
        model="m",
        generated_tokens=dict.fromkeys(names, 1),
        adapters=[f"m:{name}" for name in names],
    )
    leases.append(lease("one", told))
    found = samples(totals)
    assert found["penstock_llm_generated_tokens_total", "one", "m", "other"] == (
        10_000 - MOST_ADAPTERS
    )
    assert sum(key[0] == "penstock_llm_adapter_loaded" for key in found) == MOST_ADAPTERS


def test_picks_are_counted_by_what_decided_them():
    affinity, totals = Affinity(), Totals()
    affinity.kept, affinity.passed_over, affinity.unknown = 3, 2, 1
    register_picks(totals, affinity)
    assert samples(totals) == {
        ("penstock_affinity_picks_total", "kept"): 3,
        ("penstock_affinity_picks_total", "passed_over"): 2,
        ("penstock_affinity_picks_total", "unknown"): 1,
    }
