"""The real reader, with a real spaCy pipeline."""

from pathlib import Path

import pytest

from policies.pii.deep.pool import Pool
from policies.pii.deep.settings import Deep
from policies.pii.span import Span
from protos.errors import PenstockError


async def test_a_model_finds_names_places_and_organisations(people: Path) -> None:
    made = Pool(Deep(model=str(people)).model_copy(update={"timeout": 110.0}))
    try:
        found = await made.find(["😀 Grace Hopper of Acme Corporation is in Zürich on Monday", "-"])
    finally:
        await made.stop()
    assert found == [
        [
            Span(2, 14, "PERSON", 0.85),
            Span(18, 34, "ORGANISATION", 0.85),
            Span(41, 47, "LOCATION", 0.85),
        ],
        [],
    ]


async def test_what_keeps_it_from_starting_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = Pool(Deep(model=str(tmp_path / "none")).model_copy(update={"timeout": 60.0}))
    with pytest.raises(PenstockError, match="could not be looked for"):
        await made.find(["Jane"])
    await made.stop()
    assert "neither an installed spaCy model nor a folder" in caplog.text
