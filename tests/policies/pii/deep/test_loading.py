from pathlib import Path

import pytest

from policies.pii.deep.loading import load
from policies.pii.deep.settings import ALL
from policies.pii.span import Span


def test_what_is_no_model_is_told(tmp_path: Path) -> None:
    for name in (str(tmp_path / "none"), "no_such_package", "..odd"):
        with pytest.raises(ValueError, match="neither an installed spaCy model nor a folder"):
            load(name, ["PERSON"])


def test_a_folder_without_a_model_is_told(people: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"meta\.json"):
        load(str(tmp_path), ["PERSON"])


def test_names_places_and_organisations_are_found_in_code_points(people: Path) -> None:
    text = "😀 Grace Hopper of Acme Corporation is in Zürich on Monday"
    person = Span(2, 14, "PERSON", 0.85)
    firm = Span(18, 34, "ORGANISATION", 0.85)
    town = Span(41, 47, "LOCATION", 0.85)
    assert load(str(people), ALL).find([text, "-"]) == [[person, firm, town], []]
    assert load(str(people), ["ORGANISATION"]).find([text]) == [[firm]]
