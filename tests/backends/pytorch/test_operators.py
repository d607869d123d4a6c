"""Programs that reach beyond their arguments are refused before PyTorch sees them.

Whether they would is shown by the canary: a file that each of them would make.
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from backends.models.config import ModelConfig
from backends.pytorch.archive import check_archive, check_script
from backends.pytorch.operators import check_code, check_targets
from backends.runtimes.torch import create
from tests.backends.made_artifacts import exported


class Saves(torch.nn.Module):
    """Writes a file whenever it is executed."""

    def __init__(self, canary: str) -> None:
        super().__init__()
        self.canary = canary

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save(x, self.canary)
        return x


class SavesWhenRead(torch.nn.Module):
    """Writes one while it is read."""

    def __init__(self, canary: str) -> None:
        super().__init__()
        self.canary = canary

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return self.canary, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.canary = state[0]
        self.training = state[1]
        torch.save(torch.ones(1), self.canary)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def script(module: torch.nn.Module, path: Path) -> Path:
    torch.jit.script(module).save(str(path))  # type: ignore[no-untyped-call]
    return path


def loads(path: Path) -> None:
    tensor = {"name": "x", "datatype": "FP32", "shape": [1]}
    config = ModelConfig.model_validate_json(
        json.dumps({"inputs": [tensor], "outputs": [tensor | {"name": "y"}]})
    )
    create(path, config, "cpu", 1).load()


@pytest.mark.parametrize("module", [Saves, SavesWhenRead])
def test_a_script_that_writes_files_is_never_read(tmp_path: Path, module: Any) -> None:
    canary = tmp_path / "canary"
    path = script(module(str(canary)), tmp_path / "model.pt")
    canary.unlink(missing_ok=True)
    with pytest.raises(ValueError, match="its code has the word save"):
        loads(path)
    assert not canary.exists()
    # It would have: PyTorch itself has nothing against it.
    torch.jit.load(str(path))(torch.ones(1))  # type: ignore[no-untyped-call]
    assert canary.exists()


class Prints(torch.nn.Module):
    """Would write what requests bring into the backend's log."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        print(x)
        return x


def test_a_script_that_prints_is_never_read(tmp_path: Path) -> None:
    path = script(Prints(), tmp_path / "model.pt")
    with pytest.raises(ValueError, match="its code has the word print"):
        check_script(path)


def reading(path: Path, canary: Path) -> Path:
    """An exported program whose first node is made to open a file."""
    with (
        zipfile.ZipFile(io.BytesIO(exported())) as good,
        zipfile.ZipFile(path, "w") as bad,
    ):
        for name in good.namelist():
            content = good.read(name)
            if "/models/" in name and name.endswith(".json"):
                model = json.loads(content)
                graph = model["graph_module"]["graph"]
                node = json.loads(json.dumps(graph["nodes"][0]))
                node["target"] = "torch.ops.aten.from_file.default"
                node["inputs"] = [
                    {"name": "filename", "arg": {"as_string": str(canary)}, "kind": 1},
                    {"name": "shared", "arg": {"as_bool": True}, "kind": 1},
                    {"name": "size", "arg": {"as_int": 2}, "kind": 1},
                ]
                node["outputs"] = [{"as_tensor": {"name": "opened"}}]
                graph["tensor_values"]["opened"] = next(iter(graph["tensor_values"].values()))
                graph["nodes"].insert(0, node)
                content = json.dumps(model).encode()
            bad.writestr(name, content)
    return path


def test_an_exported_program_that_opens_files_is_never_read(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    path = reading(tmp_path / "model.pt2", canary)
    with pytest.raises(ValueError, match=r"it calls 'torch\.ops\.aten\.from_file\.default'"):
        loads(path)
    assert not canary.exists()
    torch.export.load(path).module()(torch.ones(2, 4))
    assert canary.exists()


@pytest.mark.parametrize(
    "code",
    [
        'torch.save(x, "f")',
        'torch . \n save (x, "f")',
        'torch.from_file("f", True, 4)',
        'ops.aten.save(x, "f")',
        "a = torch\na.save",
        'getattr(torch, "save")(x, "f")',
        'getattr(torch, "sa" "ve")(x, "f")',
        'getattr(torch, "sa\\166e")(x, "f")',
        "getattr (torch, 'x')",
        "ops.c10d.send(x)",
        "a = ops\na.aten.add",
        'getattr(ops, "aten")',
        "__torch__.torch.classes.c10d.TCPStore",
        "__torch__.torch.classes.dist_rpc.WorkerInfo",
        'ops.prim.rpc_async("peer", x)',
        'ops.prim.rpc_sync("peer", x)',
        'ops.prim.rpc_remote("peer", x)',
        "ops.prim.Print(x)",
        'ops.aten._print("x")',
        "ops.mine.anything(x)",
    ],
)
def test_there_are_many_ways_to_write_a_call(code: str) -> None:
    with pytest.raises(ValueError, match="its code"):
        check_code(f"def forward(self, x: Tensor) -> Tensor:\n  {code}\n  return x\n")


def test_what_pytorch_writes_is_taken(tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Embedding(4, 4), torch.nn.LSTM(4, 4))
    check_script(script(module, tmp_path / "model.pt"))
    check_code("  _0 = ops.prim.NumToTensor(x)\n  saved = self.save_probability\n")


@pytest.mark.parametrize(
    "target",
    [
        "torch.ops.aten.from_file.default",
        "torch.ops.aten.from_file.out",
        "torch.ops.aten.save.default",
        "torch.ops.aten._print.default",
        "torch.ops.prim.rpc_async.default",
        "torch.ops.c10d.send.default",
        "torch.ops.higher_order.call_torchbind",
        "torch.ops.debugprims.load_tensor.default",
        "torch.os.system",
        "torch.hub.load",
        "builtins.eval",
        "#triton",
        "",
    ],
)
def test_nodes_call_what_computes(target: str) -> None:
    inner = {"nodes": [{"target": target, "inputs": []}]}
    for graph in (inner, {"nodes": [{"target": "_operator.mul", "inputs": [{"as_graph": inner}]}]}):
        with pytest.raises(ValueError, match="which models may not"):
            check_targets({"graph_module": {"graph": graph}})


def test_archives_with_two_files_of_one_name_are_no_scripts(tmp_path: Path) -> None:
    """PyTorch finds names in any case, and might read the other one."""
    path = script(torch.nn.ReLU(), tmp_path / "model.pt")
    with zipfile.ZipFile(path, "a") as archive:
        name = next(name for name in archive.namelist() if "/code/" in name)
        archive.writestr(name.upper(), "")
    with pytest.raises(ValueError, match=r"two files of one name|more than one folder"):
        check_script(path)


def test_control_flow_is_taken(tmp_path: Path) -> None:
    class Branches(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            made: torch.Tensor = torch.cond(x.sum() > 0, torch.sin, torch.cos, (x,))
            return made

    path = tmp_path / "model.pt2"
    torch.export.save(torch.export.export(Branches(), (torch.ones(2),)), path)
    check_archive(path)
