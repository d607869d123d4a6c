"""The short experiments on real processes, held to everything but time.

They wait more than they work, so some run at the same time.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from chaos import runner
from chaos.experiment import Experiment, Result, experiments

SHORT = [each for each in experiments() if each.short]
TOGETHER = 3


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Result]]]:
    folder = tmp_path_factory.mktemp("short")
    with ThreadPoolExecutor(TOGETHER) as pool:
        yield {
            each.name: pool.submit(runner.run, each, folder / each.name, short=True, seed=1)
            for each in SHORT
        }


@pytest.mark.parametrize("experiment", SHORT, ids=lambda each: each.name)
def test_it_keeps_its_promise(experiment: Experiment, running: dict[str, Future[Result]]) -> None:
    result = running[experiment.name].result()

    if result.state == "not run":
        pytest.skip(result.why)
    assert not result.why
    assert [each for each in result.verdicts if not each.timed]
    assert [each for each in result.verdicts if not each.holds and not each.timed] == []
