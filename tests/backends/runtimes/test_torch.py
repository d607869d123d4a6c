"""PyTorch behind the runtime protocol: archives and TorchScript, precision, threads."""

import gc
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from backends.models.config import ModelConfig
from backends.pytorch.program import DTYPES
from backends.runtimes.torch import TorchRuntime, create
from protos.datatypes import DATATYPES
from protos.strict_yaml import load
from protos.values import TensorSpec
from tests.backends.made_artifacts import ROWS, exported, put, saved

X = np.arange(8, dtype=np.float32).reshape(2, 4)


def loaded(path: Path, text: str = "", device: str = "cpu") -> TorchRuntime:
    runtime = create(path, load(text, "model.yaml", ModelConfig), device, 1)
    runtime.load()
    return runtime


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return put(tmp_path / "model.pt2", exported(0.1))


def test_an_archive_knows_its_signature(archive: Path) -> None:
    signature = create(archive, ModelConfig(), "cpu", 1).load()
    (rows,) = {spec.symbols[0] for spec in (*signature.inputs, *signature.outputs)}
    assert signature.platform == "pytorch_export"
    assert signature.inputs == (TensorSpec("x", "FP32", (-1, 4), (rows, None)),)
    assert signature.outputs == (
        TensorSpec("y", "FP32", (-1, 2), (rows, None)),
        TensorSpec("total", "FP32", (-1,), (rows,)),
    )
    assert signature.max_batch_size == ROWS


def test_an_archive_is_executed(archive: Path) -> None:
    runtime = loaded(archive)
    outputs = runtime.execute(runtime.stage({"x": X}))
    assert np.allclose(outputs["y"], X @ np.full((4, 2), 0.1, np.float32))
    assert np.array_equal(outputs["total"], X.sum(1))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_autocast_computes_narrow_and_answers_what_the_signature_says(
    archive: Path, precision: str
) -> None:
    runtime = loaded(archive, f"precision: {precision}")
    outputs = runtime.execute(runtime.stage({"x": X}))
    exact = X @ np.full((4, 2), 0.1, np.float32)
    assert outputs["y"].dtype == np.float32
    assert np.allclose(outputs["y"], exact, 1e-2)
    assert not np.array_equal(outputs["y"], exact)


@pytest.mark.parametrize("datatype", DTYPES)
def test_every_datatype(tmp_path: Path, datatype: str) -> None:
    class Twice(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([x, x])

    content = saved(Twice(), (torch.ones(2, dtype=DTYPES[datatype]),))
    runtime = loaded(put(tmp_path / "model.pt2", content))
    given = np.array([1, 0]).astype(DATATYPES[datatype].dtype)
    given.flags.writeable = False
    found = runtime.execute(runtime.stage({"x": given}))["output"]
    assert found.dtype == given.dtype
    assert found.tolist() == [*given, *given]


def test_a_program_that_writes_to_its_input_leaves_the_request_as_it_was(tmp_path: Path) -> None:
    class Writes(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x.add_(1)
            return x * 2

    runtime = loaded(put(tmp_path / "model.pt2", saved(Writes(), (torch.zeros(3),))))
    given = np.zeros(3, np.float32)
    given.flags.writeable = False
    assert runtime.execute(runtime.stage({"x": given}))["output"].tolist() == [2, 2, 2]
    assert given.tolist() == [0, 0, 0]


def test_torchscript_is_told_its_signature(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.jit.script(torch.nn.Linear(4, 2)).save(str(path))
    text = """
    inputs: [{name: x, datatype: FP32, shape: [-1, 4]}]
    outputs: [{name: y, datatype: FP32, shape: [-1, 2]}]
    """
    runtime = loaded(path, text)
    assert runtime.execute(runtime.stage({"x": X}))["y"].shape == (2, 2)


def test_memory_is_the_weights(archive: Path) -> None:
    assert loaded(archive).memory_bytes() == 2 * 4 * 4


def test_the_threads_are_those_of_the_model(archive: Path) -> None:
    before = torch.get_num_threads()
    runtime = loaded(archive, "threads: 2")
    torch.set_num_threads(1)
    runtime.execute(runtime.stage({"x": X}))
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_an_unloaded_program_is_gone(archive: Path) -> None:
    runtime = loaded(archive)
    runtime.unload()
    with pytest.raises(RuntimeError, match="not loaded"):
        runtime.execute(runtime.stage({"x": X}))


def test_a_compiled_program_gives_the_same(archive: Path) -> None:
    plain, compiled = loaded(archive), loaded(archive, "compile: true")
    wanted = plain.execute(plain.stage({"x": X}))
    # Compiling takes 20 s here; what is ours, the calling, is the same without.
    with torch.compiler.set_stance("force_eager"):
        found = compiled.execute(compiled.stage({"x": X}))
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.pt2", b"", "neither an archive of torch.export nor TorchScript"),
        ("model.pt", b"", "neither an archive of torch.export nor TorchScript"),
        ("model.pt2", b"rubbish" * 50, "neither an archive of torch.export nor TorchScript"),
        ("model.pt2", exported()[:-100], "not an archive that is known here"),
        ("model.pt", exported(), "a checkpoint and no program"),
    ],
    ids=["empty archive", "empty script", "rubbish", "cut off", "no script"],
)
def test_files_that_are_no_programs(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        loaded(put(tmp_path / name, content))


@pytest.mark.gpu
@pytest.mark.parametrize("text", ["", "precision: bf16", "compile: true"])
def test_the_same_on_a_gpu_also_through_captured_graphs(archive: Path, text: str) -> None:
    runtime = loaded(archive, text, "cuda:0")
    for scale in range(1, 6):  # from the second on a graph is replayed, with other inputs
        outputs = runtime.execute(runtime.stage({"x": X * scale}))
        assert np.allclose(outputs["y"], X @ np.full((4, 2), 0.1, np.float32) * scale, 1e-2)
    assert runtime.memory_bytes() >= 2 * 4 * 4


def test_unloading_gives_the_weights_back_at_once(tmp_path: Path) -> None:
    content = saved(torch.nn.Linear(2000, 2000), (torch.ones(1, 2000),))
    path = put(tmp_path / "model.pt2", content)
    gc.collect()
    gc.disable()  # it would come by sometime; what is wanted is now
    try:
        loaded(path).unload()
        before = resident()
        for _ in range(4):
            loaded(path).unload()
        assert resident() - before < 2 * len(content)
    finally:
        gc.enable()


def resident() -> int:
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


class Evil:
    """Its pickle makes a file when it is read."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.canary,)


@pytest.mark.parametrize("name", ["model.pt", "model.pt2"])
@pytest.mark.parametrize("old", [False, True], ids=["zip", "pickle alone"])
def test_a_pickle_by_whatever_name_runs_nothing(tmp_path: Path, name: str, old: bool) -> None:
    canary = tmp_path / "canary"
    torch.save(Evil(canary), tmp_path / name, _use_new_zipfile_serialization=not old)
    with pytest.raises(ValueError):
        create(tmp_path / name, ModelConfig(), "cpu", 1).load()
    assert not canary.exists()
