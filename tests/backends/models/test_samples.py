"""Inputs for the warm-up: every shape that will be executed, from the owner or made up."""

from pathlib import Path

import numpy as np
import pytest

from backends.batching.job import BatchPolicy, PadRule
from backends.models.config import WarmUpConfig
from backends.models.samples import GUESSED_LENGTH, MAX_SHAPES, samples
from protos.datatypes import DATATYPES
from protos.strict_yaml import load
from protos.values import Signature, TensorSpec

IDS = TensorSpec("ids", "INT64", (-1, -1), ("n", "length"))
SIGNATURE = Signature("test", (IDS,), (), 4)
PAD = PadRule("length", {"ids": 1}, {"ids": 9.0}, (2, 8))
HERE = Path()


def config(text: str = "") -> WarmUpConfig:
    return load(text, "model.yaml", WarmUpConfig)


def shapes(policy: BatchPolicy, text: str = "", folder: Path = HERE) -> list[tuple[int, ...]]:
    found = samples(SIGNATURE, policy, config(text), folder)
    return [sample.inputs["ids"].shape for sample in found]


def test_each_size_and_each_pad_length() -> None:
    assert shapes(BatchPolicy(4, (1, 4), pads=(PAD,))) == [(1, 2), (1, 8), (4, 2), (4, 8)]


def test_without_fixed_sizes_powers_of_two_are_measured() -> None:
    assert [rows for rows, _ in shapes(BatchPolicy(4), "lengths: {length: 3}")] == [1, 2, 4]


@pytest.mark.parametrize("key", ["length", "ids.1"])
def test_lengths_are_known_by_symbol_or_by_axis(key: str) -> None:
    (sample,) = samples(SIGNATURE, BatchPolicy(1), config(f"lengths: {{{key}: 3}}"), HERE)
    assert sample.inputs["ids"].shape == (1, 3)
    assert not sample.guessed


def test_a_length_that_nobody_gave_is_a_guess() -> None:
    (sample,) = samples(SIGNATURE, BatchPolicy(1), config(), HERE)
    assert sample.inputs["ids"].shape == (1, GUESSED_LENGTH)
    assert sample.guessed


def test_too_many_shapes_keep_their_edges() -> None:
    pads = (PadRule("length", {"ids": 1}, {"ids": 0.0}, tuple(range(1, 31))),)
    found = shapes(BatchPolicy(8, tuple(range(1, 9)), pads=pads))
    assert len(found) <= MAX_SHAPES
    assert {rows for rows, _ in found} == set(range(1, 9))
    assert {length for _, length in found} == set(range(1, 31))


@pytest.mark.parametrize("datatype", DATATYPES)
@pytest.mark.parametrize("data", ["random", "zeros"])
def test_every_datatype_can_be_made_up(datatype: str, data: str) -> None:
    signature = Signature("test", (TensorSpec("x", datatype, (3, 2)),), ())
    (sample,) = samples(signature, BatchPolicy(), config(f"data: {data}"), HERE)
    array = sample.inputs["x"]
    assert (array.dtype, array.shape) == (DATATYPES[datatype].dtype, (3, 2))
    if datatype == "BYTES":
        assert set(array.ravel()) == {b""}
    elif data == "zeros":
        assert not array.any()
    if data == "random" and DATATYPES[datatype].kind in ("signed", "unsigned"):
        assert set(array.ravel()) <= {0, 1}


def test_what_is_made_up_is_the_same_every_time() -> None:
    signature = Signature("test", (TensorSpec("x", "FP32", (3,)),), ())
    first, second = (samples(signature, BatchPolicy(), config(), HERE)[0] for _ in "ab")
    assert np.array_equal(first.inputs["x"], second.inputs["x"])


def test_optional_inputs_are_left_out() -> None:
    signature = Signature("test", (TensorSpec("x", "FP32", (3,), optional=True),), ())
    (sample,) = samples(signature, BatchPolicy(), config(), HERE)
    assert sample.inputs == {}


def test_the_owners_samples_are_repeated_and_filled_up(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", ids=np.array([[1, 2, 3], [4, 5, 6]]))
    found = samples(
        SIGNATURE, BatchPolicy(3, (3,), pads=(PAD,)), config("samples: s.npz"), tmp_path
    )
    # Three don't fit into the shorter length.
    (sample,) = found
    assert sample.inputs["ids"].tolist() == [
        [1, 2, 3, 9, 9, 9, 9, 9],
        [4, 5, 6, 9, 9, 9, 9, 9],
        [1, 2, 3, 9, 9, 9, 9, 9],
    ]
    assert not sample.guessed


def test_samples_of_text(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", text=np.array([b"a", b"bc"]))
    signature = Signature("test", (TensorSpec("text", "BYTES", (-1,)),), ())
    (sample,) = samples(signature, BatchPolicy(), config("samples: s.npz"), tmp_path)
    assert sample.inputs["text"].tolist() == [b"a", b"bc"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, 's.npz has no array "ids"'),
        ({"ids": np.zeros((1, 2), np.int32)}, '"ids" is int32'),
        ({"ids": np.zeros(3, np.int64)}, r'"ids" is int64 \[3\]'),
        ({"ids": np.zeros((0, 3), np.int64)}, r'"ids" is int64 \[0, 3\]'),
        ({"ids": np.zeros((1, 2), np.int64), "x": np.zeros(1)}, 'no input "x"'),
    ],
)
def test_samples_that_do_not_fit(
    tmp_path: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    np.savez(tmp_path / "s.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        samples(SIGNATURE, BatchPolicy(1), config("samples: s.npz"), tmp_path)


def test_samples_are_never_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", ids=np.array([{}], object))
    with pytest.raises(ValueError, match="pickle"):
        samples(SIGNATURE, BatchPolicy(1), config("samples: s.npz"), tmp_path)
