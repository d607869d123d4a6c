"""What holds for all experiments, without running one."""

import pytest

from chaos.experiment import Experiment, experiments
from chaos.probe import Need
from chaos.promises import PROMISES

EVERY = experiments()


def test_names_are_unique() -> None:
    names = [each.name for each in EVERY]

    assert len(set(names)) == len(names) > 0


def test_every_promise_has_an_experiment() -> None:
    assert {each.promise for each in EVERY} == set(PROMISES)


@pytest.mark.parametrize("experiment", EVERY, ids=lambda each: each.name)
def test_its_module_has_its_name_and_a_docstring(experiment: Experiment) -> None:
    module = experiment.run.__module__

    assert module == f"chaos.experiments.{experiment.name.replace('-', '_')}"
    assert experiment.run.__globals__["__doc__"]


def test_what_breaks_networks_is_not_in_the_short_set() -> None:
    # Tests run in the machine's own network, whose rules nobody may touch.
    assert [each.name for each in EVERY if each.short and Need.NAMESPACE in each.needs] == []
