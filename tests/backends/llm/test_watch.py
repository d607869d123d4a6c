"""Which models are loaded when, by what the looks at their folder find."""

from backends.llm.watch import Watch

OLD, NEW, NEWER = ((("model.safetensors", size, 0),) for size in (1, 2, 3))


def test_what_is_the_same_at_two_looks_is_loaded_once() -> None:
    watch = Watch()
    assert watch.decide({"a": OLD}) == []
    assert watch.decide({"a": OLD}) == ["a"]
    assert watch.decide({"a": OLD}) == []


def test_files_that_still_change_wait() -> None:
    watch = Watch()
    for stamp in (OLD, NEW, NEWER):
        assert watch.decide({"a": stamp}) == []
    assert watch.decide({"a": NEWER, "b": OLD}) == ["a"]
    assert watch.decide({"a": NEWER, "b": OLD}) == ["b"]


def test_files_that_cant_be_looked_at_are_not_loaded() -> None:
    watch = Watch()
    assert watch.decide({"a": ()}) == watch.decide({"a": ()}) == []


def test_each_change_is_tried_once() -> None:
    watch = Watch()
    for stamp in (OLD, OLD, NEW):
        watch.decide({"a": stamp})
    assert watch.decide({"a": NEW}) == ["a"]
    assert watch.decide({"a": NEW}) == []


def test_what_went_and_came_back_is_loaded_again() -> None:
    watch = Watch()
    for found in ({"a": OLD}, {"a": OLD}, {}, {"a": OLD}):
        watch.decide(found)
    assert watch.decide({"a": OLD}) == ["a"]


def test_what_was_tried_on_demand_is_not_tried_again() -> None:
    watch = Watch()
    watch.tried("a", OLD)
    watch.decide({"a": OLD})
    assert watch.decide({"a": OLD}) == []
