"""What the tour puts into the demo's folders: marked, never over another's, and out again."""

import os
from pathlib import Path

import pytest

from gateway.tour.placed import MARK, clear, document, model
from protos.errors import PenstockError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    return made


def filled(draft: Path) -> None:
    (draft / "1").mkdir()
    (draft / "1" / "model.onnx").write_text("weights")


class TestADocument:
    def test_is_there_with_its_mark_while_it_is_entered(self, folder: Path):
        with document(folder / "tour-canary.yaml", "kind: Route\n"):
            assert os.listdir(folder) == ["tour-canary.yaml"]
            assert (folder / "tour-canary.yaml").read_text() == f"{MARK}\nkind: Route\n"
        assert os.listdir(folder) == []

    def test_is_taken_out_when_the_tour_fails(self, folder: Path):
        with pytest.raises(ZeroDivisionError), document(folder / "tour-canary.yaml", ""):
            raise ZeroDivisionError
        assert os.listdir(folder) == []

    def test_never_takes_the_place_of_a_users_file(self, folder: Path):
        mine = folder / "tour-canary.yaml"
        mine.write_text("my own")
        with (
            pytest.raises(PenstockError, match=r"tour-canary\.yaml is not the tour's"),
            document(mine, ""),
        ):
            raise AssertionError
        assert mine.read_text() == "my own"
        assert os.listdir(folder) == ["tour-canary.yaml"]

    def test_stays_when_a_user_has_made_it_theirs(self, folder: Path):
        path = folder / "tour-canary.yaml"
        with document(path, ""):
            path.write_text("my own")
        assert path.read_text() == "my own"

    def test_that_cant_be_written_is_a_sentence(self, tmp_path: Path):
        with (
            pytest.raises(PenstockError, match=r"the tour can't write .*: No such file"),
            document(tmp_path / "nowhere" / "tour-canary.yaml", ""),
        ):
            raise AssertionError


class TestAModel:
    def test_is_there_as_its_maker_left_it_while_it_is_entered(self, folder: Path, tmp_path: Path):
        with model(folder / "tour-canary", tmp_path / "draft", filled):
            assert (folder / "tour-canary" / "1" / "model.onnx").read_text() == "weights"
            assert not (tmp_path / "draft").exists()
        assert os.listdir(folder) == []

    def test_leaves_nothing_when_its_maker_fails(self, folder: Path, tmp_path: Path):
        def fails(draft: Path) -> None:
            filled(draft)
            raise ZeroDivisionError

        with (
            pytest.raises(ZeroDivisionError),
            model(folder / "tour-canary", tmp_path / "draft", fails),
        ):
            raise AssertionError
        assert os.listdir(folder) == []
        assert not (tmp_path / "draft").exists()

    def test_never_takes_the_place_of_a_users_model(self, folder: Path, tmp_path: Path):
        mine = folder / "tour-canary"
        mine.mkdir()
        filled(mine)
        with (
            pytest.raises(PenstockError, match="tour-canary is not the tour's"),
            model(mine, tmp_path / "draft", filled),
        ):
            raise AssertionError
        assert (mine / "1" / "model.onnx").read_text() == "weights"


class TestWhatAKilledTourLeft:
    def test_is_removed_and_told_a_route_before_the_policy_that_it_names(
        self, folder: Path, tmp_path: Path
    ):
        repository = tmp_path / "models"
        repository.mkdir()
        (folder / ".penstock-tour.draft").write_text("half a docu")
        for name in ("tour-private-policy.yaml", "tour-private.yaml"):
            (folder / name).write_text(f"{MARK}\nkind: Route\n")
        entered = model(repository / "tour-canary", tmp_path / "draft", filled)
        entered.__enter__()
        assert clear(folder, repository) == [
            "tour-private.yaml",
            "tour-private-policy.yaml",
            "tour-canary",
        ]
        assert os.listdir(folder) == os.listdir(repository) == []

    def test_is_known_by_its_mark_and_not_by_its_name(self, folder: Path):
        (folder / "tour-canary.yaml").write_text("my own")
        (folder / "tour-canary").mkdir()
        filled(folder / "tour-canary")
        (folder / "theirs.yaml").write_text(MARK)
        (folder / "tour-link.yaml").symlink_to("theirs.yaml")
        there = sorted(os.listdir(folder))
        assert clear(folder) == []
        assert sorted(os.listdir(folder)) == there
