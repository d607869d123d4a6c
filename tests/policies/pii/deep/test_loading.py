from pathlib import Path

import pytest

from policies.pii.deep.loading import load
from policies.pii.span import Span


def test_what_is_no_model_is_told(tmp_path: Path) -> None:
    for name in (str(tmp_path / "none"), "no_such_package", "..odd"):
        with pytest.raises(ValueError, match="neither an installed spaCy model nor a folder"):
            load(name, ["PERSON"])


def test_a_folder_without_a_model_is_told(people: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"meta\.json"):
        load(str(tmp_path), ["PERSON"])


def test_only_what_is_asked_for_is_found(people: Path) -> None:
    text = "Jane of Acme Corporation in Springfield"
    assert load(str(people), ["ORGANISATION"]).find([text]) == [[Span(8, 24, "ORGANISATION", 0.85)]]
