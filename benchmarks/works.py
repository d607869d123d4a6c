"""The work that every subject does: two models in Python, and the requests that ask for them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import yaml

_VECTOR = '''\
"""64 floats to 10: a product with a fixed matrix."""

import numpy as np

WEIGHTS = np.random.default_rng(1).standard_normal((64, 10), np.float32)


def predict(inputs):
    return {"y": inputs["x"] @ WEIGHTS}
'''
_IDENTITY = '''\
"""An image, given back."""


def predict(inputs):
    return {"y": inputs["x"]}
'''


@dataclass(frozen=True, slots=True)
class Work:
    """A model and one request's shape, rows first; `outputs` is the shape of the answer."""

    model: str
    code: str
    shape: tuple[int, ...]
    outputs: tuple[int, ...]
    max_rows: int

    def values(self, number: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
        """The same numbers in every run, with as many digits as real ones; others by `number`."""
        return np.random.default_rng(2 + number).standard_normal(self.shape, np.float32)

    def rest(self, number: int = 0) -> bytes:
        """The protocol's JSON."""
        tensor = self._tensor() | {"data": self.values(number).ravel()}
        return orjson.dumps({"inputs": [tensor]}, option=orjson.OPT_SERIALIZE_NUMPY)

    def binary(self) -> tuple[bytes, int]:
        """The binary tensor extension both ways: the body, and its JSON's length."""
        raw = self.values().tobytes()
        tensor = self._tensor() | {"parameters": {"binary_data_size": len(raw)}}
        parameters = {"binary_data_output": True}
        head = json.dumps({"inputs": [tensor], "parameters": parameters}).encode()
        return head + raw, len(head)

    def transcoded(self, number: int = 0) -> bytes:
        """The same request in protobuf's JSON mapping, which Envoy's transcoder reads."""
        tensor = self._tensor() | {"contents": {"fp32_contents": self.values(number).ravel()}}
        return orjson.dumps({"inputs": [tensor]}, option=orjson.OPT_SERIALIZE_NUMPY)

    def _tensor(self) -> dict[str, Any]:
        return {"name": "x", "datatype": "FP32", "shape": self.shape}


VECTOR = Work("vector", _VECTOR, (1, 64), (1, 10), 64)
IMAGE = Work("image", _IDENTITY, (1, 3, 224, 224), (1, 3, 224, 224), 8)
WORKS = (VECTOR, IMAGE)


def repository(folder: Path, works: Sequence[Work] = WORKS) -> Path:
    """Writes the models to a repository for the `python` runtime."""
    root = folder / "works"
    for work in works:
        model = root / work.model
        model.mkdir(parents=True, exist_ok=True)
        (model / "model.py").write_text(work.code)
        settings = {
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, *work.shape[1:]]}],
            "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, *work.outputs[1:]]}],
            "batching": {"max": work.max_rows},
        }
        (model / "model.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    return root
