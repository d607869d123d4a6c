import pytest

from policies.pii.settings import PrivacyDocument
from protos.strict_yaml import ConfigError, load
from tests.routing.rules.written_routes import privacy


def test_names_are_looked_for_as_a_policy_asks() -> None:
    spec = load(privacy(deep={"model": "./people"}), "bank.yaml", PrivacyDocument).spec
    assert spec.deep is not None
    assert spec.deep.entities == ("PERSON", "LOCATION", "ORGANISATION")
    assert spec.deep.timeout == 0.2


def test_rules_may_be_about_names_only_where_they_are_looked_for() -> None:
    entities = {"PERSON": {"action": "mask"}}
    load(privacy(entities=entities, deep={"model": "m"}), "bank.yaml", PrivacyDocument)
    for deep in ({}, {"deep": {"model": "m", "entities": ["LOCATION"]}}):
        with pytest.raises(ConfigError, match="PERSON is looked for by deep"):
            load(privacy(entities=entities, **deep), "bank.yaml", PrivacyDocument)


@pytest.mark.parametrize(
    "wrong",
    [{}, {"model": ""}, {"model": "m", "entities": []}, {"model": "m", "timeout": "2h"}],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="deep"):
        load(privacy(deep=wrong), "bank.yaml", PrivacyDocument)
