"""The table of versions: legal transitions only, one look-up for a request, a growing revision."""

import itertools

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from backends.batching.job import BatchPolicy
from backends.models.config import ModelConfig
from backends.models.table import TRANSITIONS, IllegalTransition, ModelTable, ReadyEntry, State
from protos import discovery_pb2 as pb
from protos.errors import Kind, PenstockError
from protos.values import Signature

SIGNATURE = Signature("test", (), ())


def ready(name: str, version: str, revision: str = "r") -> ReadyEntry:
    return ReadyEntry(
        name, version, State.READY, "", revision, SIGNATURE, BatchPolicy(), ModelConfig()
    )


def go(table: ModelTable, key: tuple[str, str], state: State | None) -> None:
    if state is None:
        table.remove(key)
    elif state is State.READY:
        table.serve(ready(*key))
    else:
        table.move(key, state)


def serving(*versions: str) -> ModelTable:
    table = ModelTable()
    for version in versions:
        table.move(("m", version), State.LOADING)
        table.serve(ready("m", version))
    return table


PATHS: dict[State | None, list[State]] = {
    None: [],
    State.LOADING: [State.LOADING],
    State.READY: [State.LOADING, State.READY],
    State.UNLOADING: [State.LOADING, State.READY, State.UNLOADING],
    State.UNAVAILABLE: [State.UNAVAILABLE],
}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(PATHS, PATHS)))
def test_only_the_transitions_of_the_table_are_legal(
    before: State | None, after: State | None
) -> None:
    table = ModelTable()
    for state in PATHS[before]:
        go(table, ("m", "1"), state)
    if after in TRANSITIONS[before]:
        go(table, ("m", "1"), after)
        entry = table.entry(("m", "1"))
        assert (entry.state if entry else None) == after
    else:
        with pytest.raises(IllegalTransition):
            go(table, ("m", "1"), after)


def test_states_have_the_numbers_and_names_of_the_wire() -> None:
    assert {(state.name, state.value) for state in State} <= set(pb.ModelState.items())


def test_without_a_version_the_highest_number_is_meant() -> None:
    table = serving("2", "10", "9")
    assert table.get("m", "").version == "10"
    table.move(("m", "10"), State.UNLOADING)
    assert table.get("m", "").version == "9"


@pytest.mark.parametrize(
    ("model", "version", "kind", "message"),
    [
        ("x", "", Kind.NOT_FOUND, 'model "x" is not found'),
        ("m", "7", Kind.NOT_FOUND, 'model "m" has no version "7"'),
        ("m", "2", Kind.UNAVAILABLE, 'model "m" version "2" is not ready'),
        ("n", "", Kind.UNAVAILABLE, 'model "n" is not ready'),
    ],
)
def test_what_is_not_ready(model: str, version: str, kind: Kind, message: str) -> None:
    table = serving("1")
    table.move(("m", "2"), State.UNAVAILABLE, "a reason that only operators see")
    table.move(("n", "1"), State.LOADING)
    with pytest.raises(PenstockError) as caught:
        table.get(model, version)
    assert (caught.value.kind, caught.value.message) == (kind, message)


def test_a_reason_can_stand_beside_what_serves() -> None:
    table = serving("1")
    table.explain(("m", "1"), "the newer one failed")
    assert table.get("m", "1").reason == "the newer one failed"


def test_what_no_longer_serves_has_no_interface() -> None:
    table = serving("1")
    table.move(("m", "1"), State.UNLOADING)
    entry = table.entry(("m", "1"))
    assert entry is not None
    assert (entry.signature, entry.revision, entry.ready) == (None, "", False)


def test_the_index_is_ordered_by_name_and_number() -> None:
    table = serving("10", "9", "2")
    table.move(("a", ""), State.UNAVAILABLE, "no version")
    assert [entry.key for entry in table.index()] == [
        ("a", ""),
        ("m", "2"),
        ("m", "9"),
        ("m", "10"),
    ]


def test_the_revision_grows_with_changes_only() -> None:
    seen: list[int] = []
    table = ModelTable(lambda: seen.append(table.revision))
    go(table, ("m", "1"), State.LOADING)
    go(table, ("m", "1"), State.READY)
    table.explain(("m", "1"), "")
    assert seen == [1, 2]
    table.explain(("m", "1"), "new")
    assert seen == [1, 2, 3]


@given(st.lists(st.tuples(st.sampled_from("12"), st.sampled_from([None, *State])), max_size=30))
@settings(deadline=None, max_examples=100)
def test_exactly_what_is_ready_is_found(steps: list[tuple[str, State | None]]) -> None:
    table = ModelTable()
    for version, state in steps:
        before = table.revision
        try:
            go(table, ("m", version), state)
        except IllegalTransition:
            assert table.revision == before
    for entry in table.index():
        if entry.ready:
            assert table.get("m", entry.version) is entry
        else:
            with pytest.raises(PenstockError, match="not ready"):
                table.get("m", entry.version)
