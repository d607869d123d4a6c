"""Models over time, with real ONNX files: found, swapped, refused, unloaded, within the memory."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from backends.models import lifecycle as module
from backends.models.lifecycle import Lifecycle
from backends.models.table import ModelEntry
from protos.errors import Kind, PenstockError
from tests.backends.inline_device import InlineDevice
from tests.backends.made_artifacts import onnx_model, onnx_scale, put

ONES = np.ones((1, 4), np.float32)


class World:
    """A repository, a device and a life cycle that is looked at through its public face."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.device = InlineDevice()
        self.now = 0.0
        self.changes = 0
        self.lifecycle: Lifecycle
        self._running: asyncio.Task[None] | None = None

    def start(self, runtime: str = "onnx", **options: Any) -> None:
        self.lifecycle = Lifecycle(
            self.root, runtime, self.device, clock=lambda: self.now, **options
        )
        self.lifecycle.on_change = self._count
        self._running = asyncio.create_task(self.lifecycle.run())

    def put(self, path: str, content: bytes | str) -> None:
        put(self.root / path, content)

    def entry(self, name: str, version: str = "1") -> ModelEntry | None:
        return next((e for e in self.lifecycle.index() if e.key == (name, version)), None)

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - some conditions are files
                await asyncio.sleep(0.005)

    async def ready(self, *names: str, version: str = "1") -> None:
        await self.until(
            lambda: all((e := self.entry(name, version)) and e.ready for name in names)
        )

    async def refused(self, name: str, version: str = "1") -> str:
        await self.until(lambda: (e := self.entry(name, version)) and e.state.name == "UNAVAILABLE")
        entry = self.entry(name, version)
        assert entry is not None
        return entry.reason

    def factor(self, name: str = "m", version: str = "1") -> float:
        """What the served model multiplies with."""
        return float(self.device.execute((name, version), {"x": ONES})["y"][0, 0])

    async def stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            await self.lifecycle.close()
        self.device.stop()

    def _count(self) -> None:
        self.changes += 1


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(module, "INTERVAL", 0.02)
    monkeypatch.setattr(module, "SETTLE", 0.02)
    # The tests' own process has much more to go through than a backend's, half a second each time.
    monkeypatch.setattr(module, "settle", lambda: None)
    root = tmp_path / "models"
    root.mkdir()
    world = World(root)
    yield world
    await world.stop()


async def test_a_bare_file_is_served(world: World) -> None:
    world.put("scale.onnx", onnx_scale(3.0))
    world.start()
    await world.ready("scale")
    entry = world.lifecycle.get("scale", "")
    assert entry.key == ("scale", "1")
    assert entry.signature.platform == "onnxruntime_onnx"
    assert entry.policy.max_rows == 32
    assert len(entry.revision) == 64
    assert world.factor("scale") == 3.0


async def test_a_model_is_warm_before_it_is_ready(world: World) -> None:
    world.put("m/model.onnx", onnx_scale())
    world.start()
    await world.ready("m")
    predicted = [
        world.device.cost.predict(("m", "1"), (("x", "f", (4,)),), rows) for rows in (1, 8, 32)
    ]
    assert all(seconds > 0 for seconds in predicted)


async def test_versions_come_and_go(world: World) -> None:
    world.put("m/1/model.onnx", onnx_scale(1.0))
    world.start()
    await world.ready("m")
    before = world.lifecycle.revision
    world.put("m/2/model.onnx", onnx_scale(2.0))
    await world.ready("m", version="2")
    assert world.lifecycle.get("m", "").version == "2"
    (world.root / "m/2/model.onnx").unlink()
    (world.root / "m/2").rmdir()
    await world.until(lambda: world.entry("m", "2") is None)
    assert world.lifecycle.get("m", "").version == "1"
    assert world.device.models.keys() == {("m", "1")}
    assert world.lifecycle.revision > before
    assert world.changes > 0


async def test_a_newer_file_takes_the_place_without_a_gap(world: World) -> None:
    world.put("m/model.onnx", onnx_scale(1.0))
    world.start()
    await world.ready("m")
    old = world.lifecycle.get("m", "1").revision
    world.put("m/model.onnx", onnx_scale(2.0))

    def replaced() -> bool:
        return world.lifecycle.get("m", "1").revision != old  # raises if it were not READY

    await world.until(replaced)
    assert world.factor() == 2.0
    assert world.device.events == [("add", ("m", "1")), ("add", ("m", "1"))]


async def test_another_interface_drains_the_old_one_first(world: World) -> None:
    world.put("m/model.onnx", onnx_scale(1.0))
    world.start()
    await world.ready("m")
    world.put(
        "m/model.onnx",
        onnx_model(
            [helper.make_node("Neg", ["a"], ["b"])],
            [("a", TensorProto.FLOAT, ["n"])],
            [("b", TensorProto.FLOAT, ["n"])],
        ),
    )
    await world.until(lambda: world.lifecycle.get("m", "1").signature.inputs[0].name == "a")
    assert [event for event, _ in world.device.events] == ["add", "remove", "add"]


async def test_what_fails_to_load_leaves_the_old_one_serving(world: World) -> None:
    world.put("m/model.onnx", onnx_scale(1.0))
    world.start()
    await world.ready("m")
    world.put("m/model.onnx", b"half a copy")
    await world.until(
        lambda: "a newer revision was not taken" in world.lifecycle.get("m", "1").reason
    )
    assert world.factor() == 1.0
    world.put("m/model.onnx", onnx_scale(2.0))
    await world.until(lambda: world.lifecycle.get("m", "1").reason == "")
    assert world.factor() == 2.0


async def test_a_broken_configuration_leaves_the_old_one_serving(world: World) -> None:
    world.put("m/model.onnx", onnx_scale(1.0))
    world.start()
    await world.ready("m")
    world.put("m/model.yaml", "batchin: {}")
    await world.until(lambda: "batching" in world.lifecycle.get("m", "1").reason)
    (world.root / "m/model.yaml").unlink()
    await world.until(lambda: world.lifecycle.get("m", "1").reason == "")
    assert world.device.events == [("add", ("m", "1"))]  # the same revision as before


async def test_only_the_time_of_a_file_changed(world: World) -> None:
    world.put("m/model.onnx", onnx_scale(1.0))
    world.start()
    await world.ready("m")
    os.utime(world.root / "m/model.onnx", ns=(1, 1))
    for _ in range(3):
        await world.lifecycle.load("m")
    assert world.device.events == [("add", ("m", "1"))]


async def test_files_that_still_change_are_not_read(world: World) -> None:
    world.start()
    content = onnx_scale(1.0)
    for size in range(4, len(content), 16):
        world.put("m/model.onnx", content[:size])
        await asyncio.sleep(0.004)
        entry = world.entry("m")
        assert entry is None or entry.state.name in ("LOADING", "UNAVAILABLE")
    world.put("m/model.onnx", content)
    await world.ready("m")


async def test_rubbish_is_shown_and_harms_nobody(world: World) -> None:
    world.put("good/model.onnx", onnx_scale(1.0))
    world.put("corrupted/model.onnx", onnx_scale(1.0)[:-20] + b"\xff" * 20)
    world.put("empty/model.onnx", b"")
    world.put("text/model.onnx", "not a model")
    world.put("yaml/model.onnx", onnx_scale(1.0))
    world.put("yaml/model.yaml", "a: [")
    world.put("shape/model.onnx", onnx_scale(1.0))
    world.put("shape/model.yaml", "inputs: [{name: x, datatype: INT64, shape: [-1, 4]}]")
    world.put("huge/99999999999999999999/model.onnx", onnx_scale(1.0))
    (world.root / "folder/model.onnx").mkdir(parents=True)
    (world.root / "link").symlink_to("/")
    world.put(".hidden/model.onnx", onnx_scale(1.0))
    world.put("pickled/model.pkl", b"\x80\x04.")
    world.start()
    await world.ready("good")
    reasons = {
        name: await world.refused(name, version)
        for name, version in [
            *((name, "1") for name in ("corrupted", "empty", "text", "yaml", "shape", "folder")),
            ("huge", "999999999999999999…"),
            ("link", ""),
            (".hidden", ""),
            ("pickled", "1"),
        ]
    }
    assert all(reasons.values())
    assert "INT64 in the configuration and FP32 in the artifact" in reasons["shape"]
    assert "onnxruntime can't read it" in reasons["text"]
    assert not any(str(world.root) in reason for reason in reasons.values())
    assert world.factor("good") == 1.0


async def test_unloaded_models_stay_unloaded_until_their_files_change(world: World) -> None:
    world.put("m/1/model.onnx", onnx_scale(1.0))
    world.put("m/2/model.onnx", onnx_scale(2.0))
    world.start()
    await world.ready("m", version="2")
    await world.lifecycle.unload("m")
    assert world.device.models == {}
    assert world.lifecycle.memory.used == 0
    with pytest.raises(PenstockError) as caught:
        world.lifecycle.get("m", "1")
    assert caught.value.kind is Kind.UNAVAILABLE
    await asyncio.sleep(0.1)
    assert await world.refused("m") == "it was unloaded"
    world.put("m/1/model.onnx", onnx_scale(5.0))
    await world.ready("m")
    assert world.factor() == 5.0
    assert await world.refused("m", "2") == "it was unloaded"


async def test_a_model_is_loaded_when_load_returns(world: World) -> None:
    world.start()
    world.put("m/1/model.onnx", onnx_scale(1.0))
    await world.lifecycle.load("m")
    assert world.factor() == 1.0
    await world.lifecycle.unload("m")
    await world.lifecycle.load("m")
    assert world.factor() == 1.0
    world.put("m/1/model.onnx", onnx_scale(2.0))
    await world.lifecycle.load("m")
    assert world.factor() == 2.0


async def test_loading_and_unloading_what_is_not_there(world: World) -> None:
    world.start()
    for act in (world.lifecycle.load, world.lifecycle.unload):
        with pytest.raises(PenstockError) as caught:
            await act("none")
        assert caught.value.kind is Kind.NOT_FOUND


async def test_a_load_that_fails_says_why(world: World) -> None:
    world.put("m/model.onnx", b"x")
    world.start()
    with pytest.raises(PenstockError, match="can't be loaded: onnxruntime can't read it") as caught:
        await world.lifecycle.load("m")
    assert caught.value.kind is Kind.UNAVAILABLE


async def test_models_beyond_the_memory_are_refused_with_the_sizes(world: World) -> None:
    world.put("a/model.onnx", onnx_scale(1.0))
    world.put("a/model.yaml", "memory: 60MB")
    world.start(memory_budget=100_000_000)
    await world.ready("a")
    world.put("b/model.onnx", onnx_scale(1.0))
    world.put("b/model.yaml", "memory: 50MB")
    reason = await world.refused("b")
    assert reason == ("it takes 47.7 MiB, and of the budget of 95.4 MiB 57.2 MiB are in use")
    memory = world.lifecycle.memory
    assert (memory.used, memory.high_water, memory.budget) == (60_000_000, 60_000_000, 100_000_000)


async def test_idle_models_make_room_where_they_may(world: World) -> None:
    for name in ("a", "b"):
        world.put(f"{name}/model.onnx", onnx_scale(1.0))
        world.put(f"{name}/model.yaml", "memory: 40MB")
    world.start(memory_budget=100_000_000, evict=True)
    await world.ready("a", "b")
    world.now = 100.0
    world.lifecycle.get("a", "")  # b was used longer ago
    world.now = 200.0
    world.put("c/model.onnx", onnx_scale(1.0))
    world.put("c/model.yaml", "memory: 50MB")
    await world.ready("c")
    assert await world.refused("b") == "it made room for c version 1"
    assert world.lifecycle.get("a", "").ready
    world.put("d/model.onnx", onnx_scale(1.0))
    world.put("d/model.yaml", "memory: 80MB")
    assert "it takes" in await world.refused("d")  # a is idle, c is not


async def test_a_version_that_fails_its_warm_up_is_not_served(world: World) -> None:
    world.put(
        "m/model.onnx",
        onnx_model(
            [helper.make_node("Reshape", ["x", "five"], ["y"])],
            [("x", TensorProto.FLOAT, [4])],
            [("y", TensorProto.FLOAT, [5])],
            [helper.make_tensor("five", TensorProto.INT64, [1], [5])],
        ),
    )
    world.start()
    reason = await world.refused("m")
    assert reason
    assert world.device.models == {}
    assert world.lifecycle.memory.used == 0


async def test_a_model_whose_rows_depend_on_each_other_is_not_batched(world: World) -> None:
    centred = onnx_model(
        [
            helper.make_node("ReduceMean", ["x"], ["mean"], axes=[0]),
            helper.make_node("Sub", ["x", "mean"], ["y"]),
        ],
        [("x", TensorProto.FLOAT, ["n", 4])],
        [("y", TensorProto.FLOAT, ["n", 4])],
    )
    world.put("careful/model.onnx", centred)
    world.put("told/model.onnx", centred)
    world.put("told/model.yaml", "batching: {max: 4}")
    world.start()
    await world.ready("careful", "told")
    entry = world.lifecycle.get("careful", "")
    assert entry.policy.max_rows == 0
    assert "rows depend on each other" in entry.reason
    assert world.lifecycle.get("told", "").policy.max_rows == 4


async def test_lengths_that_were_guessed_may_be_refused_by_the_model(world: World) -> None:
    content = onnx_model(
        [helper.make_node("Reshape", ["x", "shape"], ["y"])],
        [("x", TensorProto.FLOAT, ["n", "length"])],
        [("y", TensorProto.FLOAT, ["n", "m", 3])],
        [helper.make_tensor("shape", TensorProto.INT64, [3], [0, -1, 3])],
    )
    world.put("m/model.onnx", content)
    world.put("told/model.onnx", content)
    world.put("told/model.yaml", "warmUp: {lengths: {length: 6}}")
    world.start()
    await world.ready("m", "told")
    assert "warmUp.lengths" in world.lifecycle.get("m", "").reason
    assert world.lifecycle.get("told", "").reason == ""


async def test_code_runs_only_where_the_operator_allows_it(world: World) -> None:
    world.put(
        "m/model.py",
        "signature = {'inputs': [{'name': 'x', 'datatype': 'FP32', 'shape': [-1, 4]}],"
        " 'outputs': [{'name': 'y', 'datatype': 'FP32', 'shape': [-1, 4]}]}\n"
        "def predict(inputs):\n    return {'y': inputs['x'] * 7}\n",
    )
    world.start("python")
    assert "--allow-code" in await world.refused("m")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import sys; sys.exit(3)", "it ended the process while it was loaded"),
        ("raise MemoryError", "MemoryError"),
        ("def predict(:", "invalid syntax"),
        ("import there_is_no_such_module", "there_is_no_such_module"),
        ("x = 1", "no function predict"),
    ],
)
async def test_code_that_fails(world: World, code: str, reason: str) -> None:
    world.put("m/model.py", code)
    world.start("python", allow_code=True)
    assert reason in await world.refused("m")


async def test_what_serves_is_not_held_up_by_what_loads(world: World, tmp_path: Path) -> None:
    world.put("a/model.py", PYTHON)
    world.start("python", allow_code=True)
    await world.ready("a")
    world.put("b/model.yaml", f"parameters: {{folder: {tmp_path}}}")
    world.put("b/model.py", PYTHON + WAITS)
    await world.until((tmp_path / "reading").exists)
    assert world.factor("a") == 7.0
    assert world.lifecycle.get("a", "").ready
    put(tmp_path / "go on", b"")
    await world.ready("b")


async def test_a_repository_that_vanishes_unloads_nothing(world: World) -> None:
    world.put("m/model.onnx", onnx_scale(1.0))
    world.start()
    await world.ready("m")
    away = world.root.with_name("away")
    world.root.rename(away)
    await asyncio.sleep(0.1)
    assert world.factor() == 1.0
    away.rename(world.root)
    world.put("n/model.onnx", onnx_scale(1.0))
    await world.ready("n")
    assert world.lifecycle.get("m", "").ready


async def test_warnings_about_config_pbtxt_are_logged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.put("m/1/model.onnx", onnx_scale(1.0))
    world.put("m/config.pbtxt", "max_batch_size: 4 optimization { level: 1 }")
    world.start()
    await world.ready("m")
    assert world.lifecycle.get("m", "").policy.max_rows == 4
    assert "config.pbtxt: optimization has no effect" in caplog.text


async def test_a_probe_executes_what_serves(world: World) -> None:
    world.put("m/model.onnx", onnx_scale(1.0))
    world.start()
    await world.ready("m")
    for _ in range(3):
        assert await world.lifecycle.probe() is None


def test_what_can_not_begin(tmp_path: Path) -> None:
    device = InlineDevice()
    with pytest.raises(ValueError, match=r'no runtime "onxx" among .*; did you mean "onnx"'):
        Lifecycle(tmp_path, "onxx", device)
    with pytest.raises(ValueError, match="is no folder"):
        Lifecycle(tmp_path / "none", "onnx", device)
    device.stop()


PYTHON = """
signature = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 4]}],
}
def predict(inputs):
    return {"y": inputs["x"] * 7}
"""
WAITS = """
def load(context):
    import pathlib, time
    folder = pathlib.Path(context.parameters["folder"])
    (folder / "reading").touch()
    while not (folder / "go on").exists():
        time.sleep(0.005)
"""


async def test_an_unload_is_finished_although_its_caller_went_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("m/model.onnx", onnx_scale(3.0))
    world.start()
    await world.ready("m")
    drains, drained = threading.Event(), threading.Event()
    remove = world.device.remove_model

    def slowly(key: tuple[str, str]) -> None:
        drains.set()
        drained.wait(20)
        remove(key)

    monkeypatch.setattr(world.device, "remove_model", slowly)
    caller = asyncio.create_task(world.lifecycle.unload("m"))
    await world.until(drains.is_set)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    drained.set()
    assert await world.refused("m") == "it was unloaded"
    assert world.lifecycle.memory.used == 0
    await world.lifecycle.load("m")
    assert world.factor() == 3.0


async def test_a_look_that_fails_is_not_the_last(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        failed.append(True)
        raise RuntimeError("nobody thought of it")

    failed: list[bool] = []
    world.put("m/model.onnx", onnx_scale(3.0))
    with monkeypatch.context() as patched:
        patched.setattr("backends.models.repository.Repository.scan", fail)
        world.start()
        await world.until(lambda: failed)
    await world.ready("m")
