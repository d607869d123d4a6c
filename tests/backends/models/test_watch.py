"""Between two looks at the folder: each change leads to one attempt, when it has settled."""

from pathlib import Path

import hypothesis.strategies as st
from hypothesis import given, settings

from backends.models.artifacts import Stamp
from backends.models.config import ModelConfig
from backends.models.repository import Candidate, Found, Refusal
from backends.models.watch import Load, Refuse, Remove, Wait, Watch

KEY = ("m", "1")


def candidate(time: int, name: str = "m") -> Candidate:
    folder = Path(name)
    stamp: Stamp = ((f"{name}/model.onnx", 1, time),)
    return Candidate(name, "1", folder / "model.onnx", folder, ModelConfig(), stamp)


def test_what_is_new_loads_when_it_looks_the_same_twice() -> None:
    watch = Watch()
    assert watch.decide([candidate(1)]) == [Wait(KEY)]
    assert watch.decide([candidate(2)]) == [Wait(KEY)]
    assert watch.decide([candidate(2)]) == [Load(candidate(2))]
    assert watch.decide([candidate(2)]) == []


def test_a_change_loads_again() -> None:
    watch = Watch()
    watch.decide([candidate(1)])
    watch.decide([candidate(1)])
    assert watch.decide([candidate(2)]) == [Wait(KEY)]
    assert watch.decide([candidate(2)]) == [Load(candidate(2))]


def test_what_is_gone_is_removed_once() -> None:
    watch = Watch()
    watch.decide([candidate(1)])
    assert watch.decide([]) == [Remove(KEY)]
    assert watch.decide([]) == []
    assert watch.decide([candidate(1)]) == [Wait(KEY)]


def test_refusals_are_told_once_and_again_when_they_change() -> None:
    watch = Watch()
    first, second = Refusal(*KEY, "one"), Refusal(*KEY, "two")
    assert watch.decide([first]) == [Refuse(first)]
    assert watch.decide([first]) == []
    assert watch.decide([second]) == [Refuse(second)]


def test_what_was_mended_is_tried_again() -> None:
    watch = Watch()
    watch.decide([candidate(1)])
    watch.decide([candidate(1)])
    watch.decide([Refusal(*KEY, "both files", candidate(1).stamp)])
    assert watch.decide([candidate(1)]) == [Load(candidate(1))]


def test_what_was_unloaded_stays_so_until_its_files_change() -> None:
    watch = Watch()
    watch.decide([candidate(1)])
    watch.settle("m", [candidate(1)])
    assert watch.decide([candidate(1)]) == []
    watch.decide([candidate(2)])
    assert watch.decide([candidate(2)]) == [Load(candidate(2))]


def test_a_retry_loads_what_was_tried_or_unloaded() -> None:
    watch = Watch()
    watch.settle("m", [candidate(1)])
    watch.retry("m")
    assert watch.decide([candidate(1)]) == [Load(candidate(1))]


LOOK = st.lists(
    st.builds(candidate, st.integers(1, 3), st.sampled_from("ab"))
    | st.builds(Refusal, st.sampled_from("ab"), st.just("1"), st.sampled_from("xy")),
    max_size=2,
    unique_by=lambda one: one.name,
)


@given(st.lists(LOOK, max_size=12))
@settings(deadline=None, max_examples=100)
def test_only_settled_files_load_and_stillness_ends_in_silence(
    looks: list[list[Found]],
) -> None:
    watch = Watch()
    before: list[Found] = []
    for look in looks:
        for action in watch.decide(look):
            if isinstance(action, Load):
                stamps = {(one.name, one.stamp) for one in before}
                assert (action.candidate.name, action.candidate.stamp) in stamps
        before = look
    watch.decide(before)
    assert watch.decide(before) == []
