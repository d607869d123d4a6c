"""The short experiments on real processes, held to everything but time."""

from pathlib import Path

import pytest

from chaos import runner
from chaos.experiment import Experiment, experiments

SHORT = [each for each in experiments() if each.short]


@pytest.mark.parametrize("experiment", SHORT, ids=lambda each: each.name)
def test_it_keeps_its_promise(experiment: Experiment, tmp_path: Path) -> None:
    result = runner.run(experiment, tmp_path / experiment.name, short=True, seed=1)

    if result.state == "not run":
        pytest.skip(result.why)
    assert not result.why
    assert [each for each in result.verdicts if not each.timed]
    assert [each for each in result.verdicts if not each.holds and not each.timed] == []
