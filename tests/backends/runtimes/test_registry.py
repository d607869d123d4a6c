"""Runtimes are found by their files and by entry points, without importing their frameworks."""

import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from backends import runtimes


def test_every_file_is_a_runtime_of_its_name() -> None:
    assert {"torch", "onnx", "python"} <= runtimes.names().keys()


def test_what_they_read() -> None:
    found = runtimes.extensions()
    assert found["torch"] == (".pt2", ".pt")
    assert found["onnx"] == (".onnx",)
    assert found["python"] == ("model.py",)


def test_no_framework_is_imported_to_know_it() -> None:
    code = (
        "import sys; from backends import runtimes; runtimes.extensions();"
        "print({'torch', 'onnxruntime'} & sys.modules.keys())"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "set()\n"


def test_a_runtime_exports_what_the_life_cycle_needs() -> None:
    module = runtimes.load("python")
    assert module.RUNS_CODE
    assert callable(module.create)
    assert not runtimes.load("onnx").RUNS_CODE


def test_an_unknown_name_is_answered_with_what_was_meant() -> None:
    with pytest.raises(ValueError, match=r'no runtime "onxx" among .* did you mean "onnx"'):
        runtimes.load("onxx")


def test_runtimes_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "outside_runtime.py").write_text('import nothing\nEXTENSIONS = (".tflite",)\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    group = "penstock.runtimes"
    points = EntryPoints([EntryPoint("tflite", "outside_runtime", group)])
    monkeypatch.setattr(runtimes, "entry_points", lambda group: points.select(group=group))
    assert runtimes.extensions()["tflite"] == (".tflite",)
    with pytest.raises(ValueError, match="needs the package nothing, which is not installed"):
        runtimes.load("tflite")
