"""Taking in, swapping and letting go of models on a real device loop, under load."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends import runtimes
from backends.batching.bucket import bucket_of
from backends.batching.device_loop import DeviceLoop
from backends.batching.job import Job, Outcome
from backends.models.loading import Loader
from backends.models.memory import Memory
from backends.models.repository import Candidate, Repository
from backends.models.residents import Residents
from tests.backends.made_artifacts import onnx_scale, put

KEY = ("m", "1")
ONES = np.ones((2, 4), np.float32)


class Served:
    """Residents with a device loop; `outcomes` of all jobs by id."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.outcomes: dict[object, Outcome] = {}
        self.loop = DeviceLoop(self._deliver)
        self.loop.start()
        self._files = ThreadPoolExecutor(1)
        self.memory = Memory(0)
        loader = Loader(runtimes.load("onnx"), self.loop, "cpu", 1, allow_code=False)
        self.residents = Residents(
            self.loop, loader, self.memory, self._files, time.monotonic, None
        )
        self._ids = itertools.count()

    def candidate(self, factor: float) -> Candidate:
        put(self.root / "m/model.onnx", onnx_scale(factor))
        (one,) = Repository(self.root, "onnx", runtimes.extensions()).scan()
        assert isinstance(one, Candidate)
        return one

    async def take(self, candidate: Candidate, revision: str) -> None:
        await self.residents.take(candidate, revision, lambda _: None)

    def submit(self) -> int:
        policy = self.residents.models[KEY].policy
        inputs = {"x": ONES}
        bucket, rows = bucket_of(inputs, policy)
        now = time.monotonic()
        job = Job(next(self._ids), KEY, inputs, rows, now, now + 30.0, bucket=bucket)
        self.loop.submit(job)
        return job.id  # type: ignore[return-value]

    def _deliver(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            self.outcomes[outcome.job.id] = outcome


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    served = Served(tmp_path)
    yield served
    await served.residents.close()
    served.loop.stop(drain=False, timeout=5.0)


def factors(served: Served) -> list[float]:
    found = []
    for outcome in served.outcomes.values():
        assert outcome.error is None, outcome.error
        assert outcome.outputs is not None
        assert outcome.outputs["y"].shape == ONES.shape
        found.append(float(outcome.outputs["y"][0, 0]))
    return found


async def test_a_swap_under_load_loses_no_request_and_mixes_none(served: Served) -> None:
    await served.take(served.candidate(1.0), "one")
    swap = asyncio.create_task(served.take(served.candidate(2.0), "two"))
    submitted = 0
    while not swap.done() or submitted < 50:
        served.submit()
        submitted += 1
        await asyncio.sleep(0.0005)
    await swap
    served.submit()
    async with asyncio.timeout(10):
        while len(served.outcomes) < submitted + 1:  # noqa: ASYNC110 - told from another thread
            await asyncio.sleep(0.005)
    found = factors(served)
    assert set(found) == {1.0, 2.0}
    assert found[-1] == 2.0
    assert served.memory.held((*KEY, "one")) == 0


async def test_a_model_is_made_known_in_the_step_that_puts_it_on_the_device(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    await served.take(served.candidate(1.0), "one")
    candidate = served.candidate(2.0)
    steps: list[str] = []
    add, release = served.loop.add_model, served.loop.release

    def added(*arguments: Any) -> None:
        asyncio.get_running_loop().call_soon(steps.append, "the next step")
        steps.append("added")
        add(*arguments)

    def released(runtime: Any) -> None:
        steps.append("released")
        release(runtime)

    monkeypatch.setattr(served.loop, "add_model", added)
    monkeypatch.setattr(served.loop, "release", released)
    await served.residents.take(candidate, "two", lambda model: steps.append(model.revision))
    assert steps[:2] == ["added", "two"]
    assert sorted(steps[2:]) == ["released", "the next step"]


async def test_letting_go_answers_what_waits(served: Served) -> None:
    await served.take(served.candidate(3.0), "one")
    for _ in range(20):
        served.submit()
    await served.residents.let_go(KEY)
    assert factors(served) == [3.0] * 20
    assert served.memory.used == 0
    assert served.residents.models == {}


async def test_what_cannot_be_taken_changes_nothing(served: Served) -> None:
    await served.take(served.candidate(1.0), "one")
    before = served.memory.used
    candidate = served.candidate(2.0)
    candidate.artifact.write_bytes(b"rubbish")
    with pytest.raises(ValueError, match="onnxruntime can't read it"):
        await served.take(candidate, "two")
    assert served.memory.used == before
    served.submit()
    await served.residents.let_go(KEY)
    assert factors(served) == [1.0]


async def test_warm_up_teaches_the_device_what_batches_cost(served: Served) -> None:
    await served.take(served.candidate(1.0), "one")
    bucket, _ = bucket_of({"x": ONES}, served.residents.models[KEY].policy)
    predicted = [served.loop.cost.predict(KEY, bucket, rows) for rows in (1, 2, 32)]
    assert all(0 < seconds < 1 for seconds in predicted)


async def test_closing_does_not_wait_for_a_device_that_hangs(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    monkeypatch.setattr("backends.models.residents.CLOSE_TIMEOUT", 0.05)
    await served.take(served.candidate(1.0), "one")
    hangs = threading.Event()
    served.loop.call(lambda: hangs.wait(20))
    async with asyncio.timeout(5):
        await served.residents.close()
    hangs.set()
