"""What a scan finds: every layout without configuration, and a reason for whatever isn't served."""

import os
from pathlib import Path

import pytest

from backends.models.repository import Candidate, Refusal, Repository
from tests.backends.made_artifacts import put

ENDINGS = {"torch": (".pt2", ".pt"), "onnx": (".onnx",), "python": ("model.py",)}


def scan(root: Path, runtime: str = "onnx") -> dict[tuple[str, str], str]:
    """Name and version to the artifact's name, or to the reason in brackets."""
    return {
        (one.name, one.version): (
            str(one.artifact.relative_to(root)) if isinstance(one, Candidate) else f"({one.reason})"
        )
        for one in Repository(root, runtime, ENDINGS).scan()
    }


def candidate(root: Path, runtime: str = "onnx") -> Candidate:
    (one,) = Repository(root, runtime, ENDINGS).scan()
    assert isinstance(one, Candidate)
    return one


@pytest.mark.parametrize(
    ("path", "name", "version"),
    [
        ("model.onnx", "model", "1"),
        ("foo.bar.onnx", "foo.bar", "1"),
        ("digits/model.onnx", "digits", "1"),
        ("digits/anything.onnx", "digits", "1"),
        ("digits/7/model.onnx", "digits", "7"),
        ("digits/12/net.onnx", "digits", "12"),
    ],
)
def test_layouts_without_configuration(tmp_path: Path, path: str, name: str, version: str) -> None:
    put(tmp_path / path, b"x")
    assert scan(tmp_path) == {(name, version): path}


def test_each_runtime_sees_the_versions_of_its_own(tmp_path: Path) -> None:
    put(tmp_path / "digits/1/model.pt2", b"x")
    put(tmp_path / "digits/2/model.onnx", b"x")
    put(tmp_path / "digits/3/model.py", b"x")
    assert scan(tmp_path, "torch") == {("digits", "1"): "digits/1/model.pt2"}
    assert scan(tmp_path, "onnx") == {("digits", "2"): "digits/2/model.onnx"}
    assert scan(tmp_path, "python") == {("digits", "3"): "digits/3/model.py"}


def test_only_model_py_is_a_python_model(tmp_path: Path) -> None:
    put(tmp_path / "m/model.py", b"")
    put(tmp_path / "m/tokens.py", b"")
    assert scan(tmp_path, "python") == {("m", "1"): "m/model.py"}


def test_runtime_chooses_where_a_folder_has_artifacts_of_two(tmp_path: Path) -> None:
    put(tmp_path / "m/model.onnx", b"x")
    put(tmp_path / "m/model.py", b"x")
    put(tmp_path / "m/model.yaml", "runtime: python")
    assert scan(tmp_path, "onnx") == {}
    assert scan(tmp_path, "python") == {("m", "1"): "m/model.py"}


@pytest.mark.parametrize(
    ("versions", "served"),
    [
        ("all", {"1", "2", "10"}),
        ("{latest: 1}", {"10"}),
        ("{latest: 2}", {"2", "10"}),
        ("[1, 2]", {"1", "2"}),
    ],
)
def test_versions_are_numbers_and_may_be_chosen(
    tmp_path: Path, versions: str, served: set[str]
) -> None:
    for number in ("1", "2", "10"):
        put(tmp_path / f"m/{number}/model.onnx", b"x")
    put(tmp_path / "m/model.yaml", f"versions: {versions}")
    assert {version for _, version in scan(tmp_path)} == served


def test_a_version_that_is_asked_for_in_vain_is_shown(tmp_path: Path) -> None:
    put(tmp_path / "m/1/model.onnx", b"x")
    put(tmp_path / "m/model.yaml", "versions: [1, 3]")
    assert "no such folder" in scan(tmp_path)["m", "3"]


def test_a_model_may_have_another_name_than_its_folder(tmp_path: Path) -> None:
    put(tmp_path / "folder/model.onnx", b"x")
    put(tmp_path / "folder/model.yaml", "name: other")
    assert scan(tmp_path) == {("other", "1"): "folder/model.onnx"}


def test_config_pbtxt_is_read_where_there_is_no_model_yaml(tmp_path: Path) -> None:
    put(tmp_path / "m/1/model.onnx", b"x")
    put(tmp_path / "m/config.pbtxt", "max_batch_size: 4 instance_group [ { count: 2 } ]")
    one = candidate(tmp_path)
    assert one.config.batching.max == 4
    assert "instance_group" in one.warnings[0]


def test_files_that_are_no_models_are_left_alone(tmp_path: Path) -> None:
    put(tmp_path / "README.md", b"x")
    put(tmp_path / "m/1/model.onnx", b"x")
    put(tmp_path / "m/labels.txt", b"x")
    put(tmp_path / "m/assets/list.txt", b"x")
    assert scan(tmp_path) == {("m", "1"): "m/1/model.onnx"}


def rubbish(tmp_path: Path, path: str, content: str = "x") -> str:
    put(tmp_path / path, content)
    ((_, reason),) = scan(tmp_path).items()
    return reason


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (".hidden/model.onnx", "hidden and not served"),
        (".hidden.onnx", "hidden and not served"),
        ("we ird/model.onnx", "a model's name has"),
        ("m/99999999999999999999/model.onnx", "at most 18 digits"),
        ("m/0/model.onnx", "numbers from 1 without leading zeros"),
        ("m/01/model.onnx", "numbers from 1 without leading zeros"),
        ("m/notes.txt", "no file in it that a runtime reads"),
        ("m/1/notes.txt", "no file in it that a runtime reads"),
        ("m/model.pkl", "is a pickle, which can run any code"),
        ("m/1/weights.pth", "is a pickle, which can run any code"),
        ("weights.pkl", "is a pickle, which can run any code"),
        ("model.onnx/model.txt", "no file in it that a runtime reads"),
    ],
)
def test_rubbish_is_refused_with_a_reason(tmp_path: Path, path: str, reason: str) -> None:
    assert reason in rubbish(tmp_path, path)


def test_a_folder_called_like_an_artifact(tmp_path: Path) -> None:
    (tmp_path / "m/model.onnx").mkdir(parents=True)
    assert scan(tmp_path) == {("m", "1"): "(model.onnx is not a file)"}


def test_two_artifacts_in_one_folder(tmp_path: Path) -> None:
    put(tmp_path / "m/a.onnx", b"x")
    assert "more than one artifact: a.onnx, b.onnx" in rubbish(tmp_path, "m/b.onnx")
    put(tmp_path / "m/model.onnx", b"x")
    assert scan(tmp_path) == {("m", "1"): "m/model.onnx"}


def test_an_artifact_beside_numbered_versions(tmp_path: Path) -> None:
    put(tmp_path / "m/1/model.onnx", b"x")
    put(tmp_path / "m/model.onnx", b"x")
    assert "beside the numbered versions" in scan(tmp_path)["m", ""]
    assert scan(tmp_path)["m", "1"] == "m/1/model.onnx"


def test_two_models_of_one_name(tmp_path: Path) -> None:
    put(tmp_path / "a/model.onnx", b"x")
    put(tmp_path / "b/model.onnx", b"x")
    put(tmp_path / "b/model.yaml", "name: a")
    assert scan(tmp_path) == {("a", "1"): "(there are two of it, one in b)"}


def test_both_configurations(tmp_path: Path) -> None:
    put(tmp_path / "m/model.onnx", b"x")
    put(tmp_path / "m/config.pbtxt", b"")
    assert "both model.yaml and config.pbtxt" in rubbish(tmp_path, "m/model.yaml", "")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"batchin: 1", 'model.yaml:1: batchin: unknown key; did you mean "batching"?'),
        (b"\xff\xfe", "model.yaml is not UTF-8"),
        (b"a: [", "not valid YAML"),
        (b"#" * ((1 << 20) + 1), "more than 1048576 bytes"),
    ],
)
def test_a_broken_configuration(tmp_path: Path, content: bytes, reason: str) -> None:
    put(tmp_path / "m/3/model.onnx", b"x")
    put(tmp_path / "m/model.yaml", content)
    assert reason in scan(tmp_path)["m", "3"]


@pytest.mark.parametrize("link", ["m", "m/1", "m/1/model.onnx", "m/model.yaml", "m/1/data"])
def test_links_that_leave_the_repository(tmp_path: Path, link: str) -> None:
    root, outside = tmp_path / "repository", tmp_path / "outside"
    put(root / "m/1/model.onnx", b"x")
    put(outside / "1/model.onnx", b"x")
    target = outside / "1/model.onnx" if "." in link else outside / "1"
    place = root / link
    if place.exists():
        place.rename(tmp_path / "gone")
    place.symlink_to(outside if link == "m" else target)
    ((_, reason),) = scan(root).items()
    assert "is a link that leaves the repository" in reason


def test_links_inside_the_repository_are_followed(tmp_path: Path) -> None:
    put(tmp_path / "m/1/model.onnx", b"x")
    (tmp_path / "m/2").symlink_to("1")
    assert scan(tmp_path) == {("m", "1"): "m/1/model.onnx", ("m", "2"): "m/2/model.onnx"}


def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m/model.onnx").symlink_to("nothing")
    (tmp_path / "loop").symlink_to("loop")
    assert scan(tmp_path) == {
        ("m", "1"): "(model.onnx leads nowhere)",
        ("loop", ""): "(loop leads nowhere)",
    }


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    for path in ("a/model.onnx", "b/model.yaml", "c/more"):
        put(tmp_path / path, b"").unlink()
        os.mkfifo(tmp_path / path)
    put(tmp_path / "b/model.onnx", b"x")
    put(tmp_path / "c/model.onnx", b"x")
    assert scan(tmp_path) == {
        ("a", "1"): "(model.onnx is not a file)",
        ("b", "1"): "(model.yaml is not a file)",
        ("c", "1"): "(more is not a file)",
    }


def test_names_that_are_no_text_are_shown_anyhow(tmp_path: Path) -> None:
    os.mkdir(os.fsencode(tmp_path) + b"/\xff\xfe")
    ((name, _),) = scan(tmp_path)
    assert name == "\N{REPLACEMENT CHARACTER}" * 2


def test_the_stamp_changes_with_every_file_of_the_version_and_its_configuration(
    tmp_path: Path,
) -> None:
    put(tmp_path / "m/1/model.onnx", b"x")
    seen = [candidate(tmp_path).stamp]
    for path, content in [
        ("m/1/model.onnx", "longer"),
        ("m/1/model.onnx.data", "weights"),
        ("m/1/parts/a.txt", "x"),
        ("m/model.yaml", "threads: 1"),
    ]:
        put(tmp_path / path, content)
        seen.append(candidate(tmp_path).stamp)
    assert len(set(seen)) == len(seen)


def test_the_stamp_does_not_change_with_other_files(tmp_path: Path) -> None:
    put(tmp_path / "m/1/model.onnx", b"x")
    before = candidate(tmp_path).stamp
    put(tmp_path / "m/1/.swp", b"x")
    put(tmp_path / "m/1/__pycache__/model.pyc", b"x")
    put(tmp_path / "m/labels.txt", b"x")
    assert candidate(tmp_path).stamp == before


def test_bare_artifacts_are_stamped_with_the_weights_beside_them(tmp_path: Path) -> None:
    put(tmp_path / "foo.onnx", b"x")
    put(tmp_path / "foo.onnx.data", b"x")
    assert len(candidate(tmp_path).stamp) == 2


def test_a_missing_repository_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        Repository(tmp_path / "none", "onnx", ENDINGS).scan()


def test_refusals_of_one_model_leave_the_others(tmp_path: Path) -> None:
    put(tmp_path / "bad/model.yaml", "a: [")
    put(tmp_path / "good/model.onnx", b"x")
    found = Repository(tmp_path, "onnx", ENDINGS).scan()
    assert [type(one) for one in found] == [Refusal, Candidate]


@pytest.mark.parametrize("name", ["...", "....onnx"])
def test_names_of_nothing_but_dots_do_not_end_a_scan(tmp_path: Path, name: str) -> None:
    put(tmp_path / "m/model.onnx", b"x")
    put(tmp_path / name, b"x")
    assert scan(tmp_path)["m", "1"] == "m/model.onnx"


def test_what_nobody_thought_of_refuses_one_entry_and_not_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError

    put(tmp_path / "a/model.onnx", b"x")
    put(tmp_path / "a/model.yaml", "versions: all")
    put(tmp_path / "b/model.onnx", b"x")
    caplog.set_level("ERROR", "backends.models.repository")
    monkeypatch.setattr("backends.models.repository._read_config", broken)
    assert scan(tmp_path) == {
        ("a", ""): "(can't be looked at: ZeroDivisionError)",
        ("b", "1"): "b/model.onnx",
    }
    assert "a can't be looked at" in caplog.text
