"""A real spaCy pipeline that knows a few names, small enough to be made for a test."""

from pathlib import Path

import pytest

NAMES = {
    "PERSON": ("Ada Lovelace", "Grace Hopper", "Jane"),
    "GPE": ("Springfield", "Zürich"),
    "ORG": ("Acme Corporation",),
    "DATE": ("Monday",),
}


def make(folder: Path) -> Path:
    """Writes the pipeline; skips the test where spaCy isn't installed."""
    spacy = pytest.importorskip("spacy")
    pytest.importorskip("presidio_analyzer")
    made = spacy.blank("en")
    rules = made.add_pipe("entity_ruler")
    rules.add_patterns(
        [{"label": label, "pattern": name} for label, names in NAMES.items() for name in names]
    )
    made.to_disk(folder)
    return folder
