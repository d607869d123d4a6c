"""Which adapters a model's folder holds, now and later."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.llm import adapters
from backends.llm.entry import Options
from backends.llm.models import Models
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


def found_adapters(models: Models) -> bool:
    """Whether a look changed anything."""
    before = models.revision
    models.look_for_adapters()
    return models.revision != before


def write_adapter(root: Path, name: str, *, seed: int = 0) -> Path:
    folder = root / "base" / "adapters" / name
    return tiny_models.write_adapter(folder, tiny_models.reference(root / "base"), seed=seed)


def test_adapters_come_change_and_go(root: Path, models: Models) -> None:
    assert not found_adapters(models)
    folder = write_adapter(root, "one")
    assert found_adapters(models)
    assert not found_adapters(models)
    first = models.get("base:one", "1")
    assert first.revision != models.get("base", "1").revision
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    write_adapter(root, "one", seed=1)
    assert found_adapters(models)
    assert models.get("base:one", "1").adapter != first.adapter
    folder.rename(root / "elsewhere")
    assert found_adapters(models)
    assert states(models) == {"base": pb.READY}


def test_an_adapter_that_cant_be_served_says_why(root: Path, models: Models) -> None:
    folder = write_adapter(root, "one")
    (folder / "adapter_config.json").write_text("{}")
    models.look_for_adapters()
    (_, entry) = models.entries()
    assert entry.state == pb.UNAVAILABLE
    assert "LORA" in entry.reason


def test_an_adapter_that_breaks_is_served_again_once_it_is_whole(
    root: Path, models: Models
) -> None:
    folder = write_adapter(root, "one")
    models.look_for_adapters()
    whole = (folder / "adapter_config.json").read_bytes()
    (folder / "adapter_config.json").write_text("{}")
    models.look_for_adapters()
    assert states(models) == {"base": pb.READY, "base:one": pb.UNAVAILABLE}
    (folder / "adapter_config.json").write_bytes(whole)
    models.look_for_adapters()
    assert states(models) == {"base": pb.READY, "base:one": pb.READY}


def test_whatever_goes_wrong_with_one_the_others_are_served(
    root: Path, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_adapter(root, "one")
    write_adapter(root, "two")
    read = adapters.read

    def fail(folder: Path, *rest: Any) -> adapters.Adapter:
        if folder.name == "one":
            raise NotImplementedError("for Float8")
        return read(folder, *rest)

    monkeypatch.setattr(adapters, "read", fail)
    models.look_for_adapters()
    assert states(models) == {
        "base": pb.READY,
        "base:one": pb.UNAVAILABLE,
        "base:two": pb.READY,
    }


def test_files_that_changed_since_they_were_looked_at_are_not_served_as_those(
    root: Path, models: Models
) -> None:
    folder = write_adapter(root, "one")
    models.look_for_adapters()
    before = models.get("base:one", "")
    assert before.loaded is not None
    shutil.rmtree(folder)
    write_adapter(root, "one", seed=1)
    with pytest.raises(ValueError, match="files have changed"):
        before.loaded.adapters.prepare(before.adapter)
    models.look_for_adapters()
    after = models.get("base:one", "")
    assert after.revision != before.revision
    before.loaded.adapters.prepare(after.adapter)


def test_adapters_are_unloaded_until_they_are_loaded(root: Path, models: Models) -> None:
    write_adapter(root, "one")
    models.load("base:one")
    first = models.get("base:one", "")
    assert models.adapters() == []  # read, and in memory with its first request
    models.unload("base:one")
    assert not found_adapters(models)
    with pytest.raises(PenstockError) as caught:
        models.get("base:one", "")
    assert caught.value.kind is Kind.UNAVAILABLE
    models.load("base:one")
    assert models.get("base:one", "").adapter == first.adapter


def test_what_is_not_there_is_not_found(root: Path, models: Models) -> None:
    for change in (models.load, models.unload):
        with pytest.raises(PenstockError) as caught:
            change("base:none")
        assert caught.value.kind is Kind.NOT_FOUND


def test_loading_what_cant_be_served_says_why(root: Path, models: Models) -> None:
    folder = write_adapter(root, "one")
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(PenstockError, match=r"there is no adapter_model\.safetensors") as caught:
        models.load("base:one")
    assert caught.value.kind is Kind.UNAVAILABLE


def test_links_that_leave_the_folder_are_not_followed(
    root: Path, models: Models, tmp_path: Path
) -> None:
    outside = write_adapter(root, "one").rename(tmp_path / "outside")
    (root / "base" / "adapters" / "one").symlink_to(outside)
    models.look_for_adapters()
    (_, entry) = models.entries()
    assert (entry.state, "link" in entry.reason) == (pb.UNAVAILABLE, True)
