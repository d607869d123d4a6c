import pytest

from policies.fair.settings import Fairness
from protos.strict_yaml import ConfigError, load


def read(text):
    return load(text, "penstock.yaml", Fairness)


def test_without_settings_all_tenants_weigh_the_same():
    found = Fairness()
    assert found.weight("anybody") == found.weight("somebody else") == 1.0
    assert found.mode == "enforce"


def test_tenants_that_are_named_have_their_weight_and_the_others_the_default():
    found = read("weights: {gold: 4.0}\ndefault: 0.5\n")
    assert found.weight("gold") == 4.0
    assert found.weight("other") == 0.5


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("weights: {gold: 0}", "weights"),
        ("weights: {gold: -1.0}", "weights"),
        ("weights: {gold: .inf}", "weights"),
        ("default: 0.0", "default"),
        ("queue: {perTenant: 0}", "perTenant"),
        ("queue: {bytes: 0MiB}", "bytes"),
        ("weight: {gold: 2}", "weight"),
        ("mode: off", "mode"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_name(text, field):
    with pytest.raises(ConfigError, match=field):
        read(text)
