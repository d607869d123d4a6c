"""A spaCy pipeline read through Presidio, which knows what models call a person or a place.

Importing this takes a second and a hundred megabytes, so only processes do that serve nobody else.
"""

import os
from collections.abc import Collection, Iterator, Sequence

# Presidio would import PyTorch to look for a GPU, which belongs to the models that are served.
os.environ["PRESIDIO_DEVICE"] = "cpu"

from presidio_analyzer.nlp_engine import NlpArtifacts, SpacyNlpEngine

from policies.pii.span import Span

# Presidio's names and ours.
_NAMES = {"PERSON": "PERSON", "LOCATION": "LOCATION", "ORGANIZATION": "ORGANISATION"}


class Model:
    """Finds names and places. It is loaded when it is made, which takes seconds."""

    def __init__(self, name: str, entities: Collection[str]) -> None:
        """`name` is an installed package or a folder; else Presidio would try to download it."""
        self._entities = frozenset(entities)
        self._engine = SpacyNlpEngine([{"lang_code": "any", "model_name": name}])
        self._engine.load()

    def _read(self, texts: Sequence[str]) -> Iterator[NlpArtifacts]:
        for pair in self._engine.process_batch([*texts], "any", batch_size=32):
            yield pair[1]

    def find(self, texts: Sequence[str]) -> list[list[Span]]:
        """For each text its names, in order, in code points."""
        return [
            [
                Span(entity.start_char, entity.end_char, known, score)
                for entity, score in zip(read.entities, read.scores, strict=True)
                if (known := _NAMES.get(entity.label_, "")) in self._entities
            ]
            for read in self._read(texts)
        ]
