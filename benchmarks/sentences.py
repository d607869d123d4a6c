"""Sentences of mixed lengths, already as token ids, as they arrive at an encoder."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson

from benchmarks.minilm import LONGEST, VOCABULARY

Ids = np.ndarray[Any, np.dtype[np.int64]]
_MEDIAN, _SPREAD, _SHORTEST = 24.0, 0.6, 4  # tokens; lognormal, as lengths of sentences are


def lengths(seed: int) -> Iterator[int]:
    """Endless; half are shorter than 24 tokens, one in a hundred is longer than 97."""
    rng = np.random.default_rng(seed)
    while True:
        for drawn in rng.lognormal(np.log(_MEDIAN), _SPREAD, 1024):
            yield int(np.clip(drawn, _SHORTEST, LONGEST))


def tokens(length: int, rows: int = 1) -> dict[str, Ids]:
    """The encoder's inputs; every token counts."""
    ids = np.random.default_rng(length).integers(1000, VOCABULARY, (rows, length))
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


def rest(length: int) -> bytes:
    """The same as a request in the protocol's JSON."""
    inputs = [
        {"name": name, "datatype": "INT64", "shape": array.shape, "data": array.ravel()}
        for name, array in tokens(length).items()
    ]
    return orjson.dumps({"inputs": inputs}, option=orjson.OPT_SERIALIZE_NUMPY)
