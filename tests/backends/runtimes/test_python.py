"""Python models: a file with predict, its own state, and sentences for its mistakes."""

from pathlib import Path

import numpy as np
import pytest

from backends.models.config import ModelConfig
from backends.runtimes.python import PythonRuntime, create
from protos.errors import Kind, PenstockError
from protos.strict_yaml import load
from protos.values import TensorSpec
from tests.backends.made_artifacts import put

SIGNATURE = """
signature = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1]}],
}
"""
TWICE = SIGNATURE + "def predict(inputs):\n    return {'y': inputs['x'] * 2}\n"
X = np.array([1, 2], np.float32)


def made(folder: Path, code: str, text: str = "") -> PythonRuntime:
    path = put(folder / "model.py", code)
    return create(path, load(text, "model.yaml", ModelConfig), "cpu", 3)


def loaded(folder: Path, code: str, text: str = "") -> PythonRuntime:
    runtime = made(folder, code, text)
    runtime.load()
    return runtime


def test_the_signature_is_in_the_code_or_in_the_configuration(tmp_path: Path) -> None:
    spec = (TensorSpec("x", "FP32", (-1,)),)
    assert made(tmp_path / "a", TWICE).load().inputs == spec
    text = """
    inputs: [{name: x, datatype: FP32, shape: [-1]}]
    outputs: [{name: y, datatype: FP32, shape: [-1]}]
    """
    assert made(tmp_path / "b", "def predict(inputs): ...", text).load().inputs == spec


def test_arrays_go_in_and_come_out(tmp_path: Path) -> None:
    runtime = loaded(tmp_path, TWICE)
    assert runtime.execute(runtime.stage({"x": X}))["y"].tolist() == [2, 4]


def test_load_is_told_where_the_model_lies_and_what_it_may_use(tmp_path: Path) -> None:
    code = SIGNATURE + (
        "import numpy as np\n"
        "def load(context):\n"
        "    global loaded\n"
        "    assert context.device == 'cpu'\n"
        "    text = (context.folder / 'factor.txt').read_text()\n"
        "    loaded = float(text) * context.threads * context.parameters['scale']\n"
        "def predict(inputs):\n"
        "    return {'y': inputs['x'] * np.float32(loaded)}\n"
    )
    put(tmp_path / "factor.txt", "5")
    runtime = loaded(tmp_path, code, "parameters: {scale: 2}")
    assert runtime.execute({"x": X})["y"].tolist() == [30, 60]


def test_versions_do_not_share_state_nor_the_modules_beside_them(tmp_path: Path) -> None:
    code = SIGNATURE + (
        "from . import factor\n"
        "def predict(inputs):\n"
        "    return {'y': inputs['x'] * factor.FACTOR}\n"
    )
    runtimes = []
    for number in (2, 3):
        put(tmp_path / f"{number}/factor.py", f"FACTOR = {number}")
        runtimes.append(loaded(tmp_path / str(number), code))
    assert [runtime.execute({"x": X})["y"][0] for runtime in runtimes] == [2, 3]


def test_a_generator_is_decoupled_and_sees_the_requests_parameters(tmp_path: Path) -> None:
    code = SIGNATURE + (
        "def predict(inputs, parameters):\n"
        "    for part in range(parameters['n']):\n"
        "        yield {'y': inputs['x'] + part}\n"
    )
    runtime = made(tmp_path, code)
    assert runtime.load().decoupled
    parts = [part["y"][0] for part in runtime.stream({"x": X}, {"n": 3})]
    assert parts == [1, 2, 3]


def test_a_model_may_refuse_its_input(tmp_path: Path) -> None:
    code = SIGNATURE + (
        "from protos.errors import invalid\n"
        "def predict(inputs):\n    raise invalid('inputs \"x\": must not be empty')\n"
    )
    runtime = loaded(tmp_path, code)
    with pytest.raises(PenstockError, match="must not be empty") as caught:
        runtime.execute({"x": X})
    assert caught.value.kind is Kind.INVALID


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return None", "predict gave no dictionary of arrays"),
        ("return {}", 'predict gave no array "y"'),
        ("return {'y': [1, 2]}", 'predict gave no array "y"'),
    ],
)
def test_what_predict_must_not_give(tmp_path: Path, body: str, message: str) -> None:
    runtime = loaded(tmp_path, SIGNATURE + f"def predict(inputs):\n    {body}\n")
    with pytest.raises(PenstockError, match=message) as caught:
        runtime.execute({"x": X})
    assert caught.value.kind is Kind.BAD_REPLY


@pytest.mark.parametrize(
    ("code", "text", "message"),
    [
        ("x = 1", "", "model.py has no function predict"),
        ("predict = 1", "", "model.py has no function predict"),
        ("def predict(inputs): ...", "", "nothing says what the model takes and gives"),
        (TWICE, "decoupled: true", "predict must be a generator"),
        (TWICE + "signature = {'inputs': []}", "", 'signature: "outputs" is missing'),
        (TWICE + "signature['inputs'][0]['datatype'] = 'F32'", "", "there is no datatype"),
        (TWICE + "signature = 3", "", "signature: should be a mapping"),
        (TWICE + "signature = {'inputs': {1, 2}}", "", "signature: "),
    ],
)
def test_what_cannot_be_loaded(tmp_path: Path, code: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        loaded(tmp_path, code, text)


def test_unload_is_called_and_the_modules_are_forgotten(tmp_path: Path) -> None:
    import sys

    code = TWICE + (
        "import pathlib\ndef unload():\n    pathlib.Path(__file__).with_name('unloaded').touch()\n"
    )
    before = set(sys.modules)
    runtime = loaded(tmp_path, code)
    runtime.unload()
    assert (tmp_path / "unloaded").exists()
    assert not [name for name in set(sys.modules) - before if name.startswith("penstock_model")]
    with pytest.raises(RuntimeError, match="not loaded"):
        runtime.execute({"x": X})
