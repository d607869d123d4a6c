"""The first page stays short and hides nothing, whatever backends call their models."""

from types import SimpleNamespace
from typing import Any

import pytest

from gateway.console.overview import overview
from protos import discovery_pb2 as pb

MODELS = 20_000
HIDDEN = "\u202e"  # turns the direction of what follows


@pytest.fixture
def page() -> str:
    models = [pb.Model(name=f"m{index}", version="1", state=pb.READY) for index in range(MODELS)]
    models[-1] = pb.Model(
        name="the-broken-one", version="1", state=pb.UNAVAILABLE, reason=HIDDEN + "x" * 5000
    )
    beat = pb.Beat(instance="a", healthy=True, models=pb.ModelTable(models=models))
    hub: Any = SimpleNamespace(snapshot=pb.Snapshot(leases=[pb.Lease(beat=beat)]))
    history: Any = SimpleNamespace(table=lambda name: {})
    return "".join(overview(hub, history, (), [], {"rollouts": []}))


def test_of_very_many_models_some_are_listed_and_the_rest_counted(page: str):
    assert "and 19,980 more" in page
    assert len(page) < 10_000


def test_what_is_not_ready_is_listed_first(page: str):
    assert page.index("the-broken-one") < page.index("m0/1")


def test_nothing_is_hidden_in_a_backends_words(page: str):
    assert HIDDEN not in page
    assert "⟨U+202E⟩xxx" in page
    assert "(5,001 characters)" in page
