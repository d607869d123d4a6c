"""Archives are looked into before PyTorch reads them: what would run code is refused."""

import contextlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from backends.pytorch.archive import check_archive, check_script
from tests.backends.made_artifacts import exported, put


class Evil:
    """Its pickle runs a function when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("it ran",))


def pickled(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def rewritten(path: Path, changes: dict[str, Callable[[bytes], bytes]]) -> Path:
    """A good archive with files changed or added, by their name below the archive's folder."""
    with zipfile.ZipFile(io.BytesIO(exported())) as good:
        folder = good.namelist()[0].partition("/")[0]
        contents = {name.partition("/")[2]: good.read(name) for name in good.namelist()}
    for name, change in changes.items():
        contents[name] = change(contents.get(name, b""))
    with zipfile.ZipFile(path, "w") as bad:
        for name, content in contents.items():
            bad.writestr(f"{folder}/{name}", content)
    return path


def with_payload(**changes: object) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        config = json.loads(content)
        next(iter(config["config"].values())).update(changes)
        return json.dumps(config).encode()

    return change


def with_expression(expression: str) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        return content.replace(
            b'"expr_str": "Symbol(\'s77\', positive=True, integer=True)"',
            json.dumps({"expr_str": expression})[1:-1].encode(),
        )

    return change


WEIGHTS = "data/weights/model_weights_config.json"
SAMPLES = "data/sample_inputs/model.pt"


def test_what_torch_export_writes_is_good(tmp_path: Path) -> None:
    check_archive(put(tmp_path / "model.pt2", exported()))
    check_archive(rewritten(tmp_path / "again.pt2", {}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({WEIGHTS: with_payload(use_pickle=True)}, "is a pickle, which can run any code"),
        ({WEIGHTS: with_payload(path_name="custom_obj_0")}, "custom_obj_0 is a pickle"),
        ({WEIGHTS: with_payload(path_name="opaque_obj_0")}, "opaque_obj_0 is a pickle"),
        ({"data/weights/model.pt": lambda _: pickled(Evil())}, "data/weights/model.pt is a pickle"),
        ({"data/constants/model.pt": lambda _: pickled(Evil())}, "constants/model.pt is a pickle"),
        ({SAMPLES: lambda _: pickled(Evil())}, "holds more than tensors"),
        ({SAMPLES: lambda _: b"rubbish"}, "holds more than tensors"),
        ({"data/aotinductor/model/a.so": lambda _: b"\x7fELF"}, "it holds compiled code"),
        ({"extra/lib.so": lambda _: b"\x7fELF"}, "it holds compiled code"),
    ],
)
def test_what_would_run_code_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Callable[[bytes], bytes]],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        check_archive(rewritten(tmp_path / "bad.pt2", changes))
    assert "it ran" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (f"archive/{WEIGHTS}".replace("data", "DATA"), "two files of one name"),
        (f"archive/{WEIGHTS}", "two files of one name"),
        (f"archive/{WEIGHTS}\0", "two files of one name"),
        (f"other/{WEIGHTS}", "more than one folder"),
        ("archive/DATA/weights/other_weights_config.json", "which torch.export doesn't write"),
        ("archive/data/weights/../weights/weight_0", "which torch.export doesn't write"),
        ("archive/models/model.JSON", "two files of one name"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_no_entry_hides_behind_another(tmp_path: Path, extra: str, message: str) -> None:
    path = rewritten(tmp_path / "bad.pt2", {})
    with zipfile.ZipFile(path, "a") as bad:
        folder = bad.namelist()[0].partition("/")[0]
        entry = zipfile.ZipInfo("placeholder")
        entry.filename = entry.orig_filename = extra.replace("archive/", f"{folder}/", 1)
        bad.writestr(entry, with_payload(use_pickle=True)(bad.read(f"{folder}/{WEIGHTS}")))
    with pytest.raises(ValueError, match=message):
        check_archive(path)


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('id')",
        "print('x')",
        "Symbol.__class__",
        "Symbol('s77').name",
        "[x for x in ()]",
        'open("/etc/passwd")',
        "exec ('x')",
        "lambda: 0",
    ],
)
def test_dimensions_that_are_no_formulas_are_refused(tmp_path: Path, expression: str) -> None:
    changes = {"models/model.json": with_expression(expression)}
    with pytest.raises(ValueError, match="no plain formula"):
        check_archive(rewritten(tmp_path / "bad.pt2", changes))


@pytest.mark.parametrize(
    "expression",
    ["Symbol('s77', positive=True, integer=True)", "2*s77 + 1", "Max(1, s0)", "FloorDiv(s0, 2)"],
)
def test_formulas_are_let_through(tmp_path: Path, expression: str) -> None:
    check_archive(
        rewritten(tmp_path / "good.pt2", {"models/model.json": with_expression(expression)})
    )


def test_scripts_are_told_from_checkpoints(tmp_path: Path) -> None:
    script = tmp_path / "script.pt"
    torch.jit.script(torch.nn.ReLU()).save(str(script))
    check_script(script)
    with pytest.raises(ValueError, match="a checkpoint and no program"):
        check_script(put(tmp_path / "checkpoint.pt", pickled({"weight": torch.ones(2)})))
    with pytest.raises(ValueError, match=r"neither an archive of torch.export nor TorchScript"):
        check_script(put(tmp_path / "old.pt", b"\x80\x02cposix\nsystem\n"))


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_damaged_archives_are_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(exported())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = put(tmp_path_factory.mktemp("damaged") / "model.pt2", bytes(content))
    with contextlib.suppress(ValueError, OSError):
        check_archive(path)
