"""What an experiment leaves behind, however it ends."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from chaos import results
from chaos.experiment import Bench, Experiment, perform
from chaos.history import History, Request
from chaos.site import Site
from chaos.verdict import Verdict

HISTORY = History([Request(1, 1.0, 1.0, 1.5, 500, whole=True)])


def experiment(run: Callable[[Bench], Awaitable[None]]) -> Experiment:
    return Experiment("one", 1, "a question", run)


def bench(folder: Path) -> Bench:
    return Bench(folder, histories={"requests": HISTORY})


async def test_one_that_holds_nothing_has_kept_nothing(tmp_path: Path) -> None:
    async def nothing(_: Bench) -> None:
        return

    assert (await perform(experiment(nothing), bench(tmp_path))).state == "broken"


async def test_one_that_fails_is_broken_and_leaves_its_histories(tmp_path: Path) -> None:
    async def fails(_: Bench) -> None:
        raise RuntimeError("the mesh is on fire")

    result = await perform(experiment(fails), bench(tmp_path))

    assert (result.state, result.why) == ("broken", "RuntimeError: the mesh is on fire")
    assert results.histories(tmp_path) == {"requests": HISTORY}


async def test_one_that_is_ended_leaves_its_histories(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def hangs(_: Bench) -> None:
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(perform(experiment(hangs), bench(tmp_path)))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert results.histories(tmp_path) == {"requests": HISTORY}


@pytest.mark.parametrize(("crashed", "state"), [([], "kept"), (["b1"], "broken")])
async def test_a_process_that_ended_unasked_breaks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crashed: list[str], state: str
) -> None:
    async def holds(bench: Bench) -> None:
        bench.sites.append(Site.__new__(Site))
        bench.hold(Verdict(True, "no request failed"))

    monkeypatch.setattr(Site, "crashed", crashed)
    result = await perform(experiment(holds), bench(tmp_path))

    assert result.state == state
    assert [each.measured for each in result.verdicts if not each.holds] == crashed
