"""Which models a folder holds, now and later."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.llm.engine import Ask
from backends.llm.entry import Options
from backends.llm.models import Models
from backends.llm.sampling import Sampling
from protos import discovery_pb2 as pb
from protos.errors import Kind, PenstockError
from tests.backends.llm import tiny_models

OPTIONS = Options(memory=1 << 20, block=4)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tiny_models.write(tmp_path / "models" / "base")
    return tmp_path / "models"


@pytest.fixture
def models(root: Path) -> Iterator[Models]:
    found = tiny_models.serve(Models(root, OPTIONS, lambda step: None))
    yield found
    found.close()


def states(models: Models) -> dict[str, int]:
    return {each.name: each.state for each in models.entries()}


def answer(models: Models) -> list[int]:
    """Of the model "base", as its weights are now."""
    loaded = models.get("base", "").loaded
    assert loaded is not None
    engine = tiny_models.engine(loaded)
    engine.add("a", Ask([5, 6, 7], 8, Sampling(temperature=0.0), ignore_end=True))
    choice = engine._requests["a"].choices[0]
    tiny_models.finish(engine)
    return choice.sequence.output


def drain(models: Models) -> None:
    """Ends what nobody asks any more."""
    for leaving in models.drained(lambda thread: False):
        models.end(leaving)


def test_models_are_there_before_they_are_ready(root: Path) -> None:
    models = Models(root, OPTIONS, lambda step: None)
    assert states(models) == {"base": pb.LOADING}
    with pytest.raises(PenstockError) as caught:
        models.get("base", "1")
    assert caught.value.kind is Kind.UNAVAILABLE
    with pytest.raises(PenstockError) as caught:
        models.get("other", "")
    assert caught.value.kind is Kind.NOT_FOUND


def test_a_folder_without_models_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no folder with a config\.json"):
        Models(tmp_path, OPTIONS, lambda step: None)
    with pytest.raises(ValueError, match="can't be read"):
        Models(tmp_path / "none", OPTIONS, lambda step: None)


def test_a_changed_model_takes_the_old_ones_place(root: Path, models: Models) -> None:
    old, before = models.get("base", ""), answer(models)
    tiny_models.write_adapter(
        root / "base" / "adapters" / "one", tiny_models.reference(root / "base"), seed=0
    )
    models.look_for_adapters()
    tiny_models.write(root / "base", seed=1)
    assert models.look() == []  # its files may still change
    assert answer(models) == before  # although they were written over
    assert models.look() == ["base"]
    models.take("base")
    new = models.get("base", "")
    assert (new.revision != old.revision, answer(models) != before) == (True, True)
    assert models.get("base:one", "").loaded is new.loaded
    assert models.threads() == [new.thread, old.thread]
    assert models.drained(lambda thread: thread is old.thread) == []
    drain(models)
    assert models.threads() == [new.thread]
    assert old.thread is not None
    assert not old.thread.alive


def test_files_that_are_touched_are_no_new_model(root: Path, models: Models) -> None:
    old = models.get("base", "")
    (root / "base" / "config.json").touch()
    tiny_models.serve(models)
    assert models.get("base", "").thread is old.thread


def test_one_that_cant_be_loaded_leaves_the_old_one_serving(root: Path, models: Models) -> None:
    old = models.get("base", "")
    weights = root / "base" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    tiny_models.serve(models)
    entry = models.get("base", "")
    assert entry.thread is old.thread
    assert "a newer revision was not taken" in entry.reason
    weights.write_bytes(whole)
    tiny_models.serve(models)
    assert models.get("base", "").reason == ""


def test_a_folder_that_comes_is_served_and_one_that_goes_is_not(
    root: Path, models: Models, tmp_path: Path
) -> None:
    shutil.copytree(root / "base", root / "other")
    models.look()
    assert states(models) == {"base": pb.READY, "other": pb.LOADING}
    tiny_models.serve(models)
    assert states(models) == {"base": pb.READY, "other": pb.READY}
    (root / "other").rename(tmp_path / "elsewhere")
    models.look()
    models.look()
    assert states(models) == {"base": pb.READY, "other": pb.UNLOADING}
    with pytest.raises(PenstockError):
        models.get("other", "")
    drain(models)
    assert states(models) == {"base": pb.READY}


def test_a_repository_that_is_away_changes_nothing(
    root: Path, models: Models, tmp_path: Path
) -> None:
    root.rename(tmp_path / "elsewhere")
    assert models.look() == []
    assert states(models) == {"base": pb.READY}


def test_a_name_that_none_can_have_is_passed_over(root: Path, models: Models) -> None:
    shutil.copytree(root / "base", root / ".half")
    tiny_models.serve(models)
    assert states(models) == {"base": pb.READY}
    with pytest.raises(ValueError, match="dot"):
        Models(root, OPTIONS, lambda step: None)


def test_a_model_is_unloaded_until_it_is_loaded(root: Path, models: Models) -> None:
    models.unload("base")
    assert states(models) == {"base": pb.UNLOADING}
    drain(models)
    tiny_models.write(root / "base", seed=1)
    tiny_models.serve(models)
    assert states(models) == {"base": pb.UNAVAILABLE}
    models.load("base")
    assert states(models) == {"base": pb.READY}
    assert models.look() == models.look() == []


def test_what_is_not_there_is_not_found(models: Models) -> None:
    for change in (models.load, models.unload):
        with pytest.raises(PenstockError) as caught:
            change("none")
        assert caught.value.kind is Kind.NOT_FOUND


def test_loading_what_cant_be_served_says_why(root: Path, models: Models) -> None:
    (root / "base" / "model.safetensors").rename(root / "base" / "model.bin")
    models.unload("base")
    with pytest.raises(PenstockError, match="no weights in safetensors") as caught:
        models.load("base")
    assert caught.value.kind is Kind.UNAVAILABLE


def test_weights_that_are_none_are_told_of_in_a_sentence(root: Path) -> None:
    (root / "base" / "model.safetensors").write_bytes(b"no weights")
    models = tiny_models.serve(Models(root, OPTIONS, lambda step: None))
    (entry,) = models.entries()
    assert entry.state == pb.UNAVAILABLE
    assert entry.reason == "it can't be read or run (SafetensorError)"
