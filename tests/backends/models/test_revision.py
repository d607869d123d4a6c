"""A revision is what the files say: the same elsewhere, another with every change."""

import os
from pathlib import Path

from backends.models.repository import Candidate, Repository
from backends.models.revision import Revisions
from tests.backends.made_artifacts import put


def revision(root: Path) -> str:
    (one,) = Repository(root, "onnx", {"onnx": (".onnx",)}).scan()
    assert isinstance(one, Candidate)
    return Revisions(root).of(one)


def test_it_is_the_same_wherever_the_files_lie(tmp_path: Path) -> None:
    put(tmp_path / "here/m/1/model.onnx", b"x")
    put(tmp_path / "there/other/1/model.onnx", b"x")
    found = {revision(tmp_path / "here"), revision(tmp_path / "there")}
    assert [len(one) for one in found] == [64]


def test_it_changes_with_content_configuration_and_names(tmp_path: Path) -> None:
    seen = []
    for path, content in [
        ("m/1/model.onnx", "x"),
        ("m/1/model.onnx", "y"),
        ("m/1/model.onnx.data", "weights"),
        ("m/model.yaml", "threads: 1"),
        ("m/model.yaml", "threads: 2"),
    ]:
        path_ = put(tmp_path / path, content)
        os.utime(path_, ns=(len(seen), len(seen)))
        seen.append(revision(tmp_path))
    assert len(set(seen)) == len(seen)


def test_it_does_not_change_with_the_time(tmp_path: Path) -> None:
    path = put(tmp_path / "m/1/model.onnx", b"x")
    before = revision(tmp_path)
    os.utime(path, ns=(1, 1))
    assert revision(tmp_path) == before


def test_files_are_read_again_only_when_size_or_time_changed(tmp_path: Path) -> None:
    path = put(tmp_path / "m/1/model.onnx", b"x")
    (one,) = Repository(tmp_path, "onnx", {"onnx": (".onnx",)}).scan()
    assert isinstance(one, Candidate)
    revisions = Revisions(tmp_path)
    before = revisions.of(one)
    path.unlink()
    assert revisions.of(one) == before
