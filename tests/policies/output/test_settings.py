"""Output documents: what they may say, and what is wrong with the others."""

import json
import re
from pathlib import Path

import pytest

from policies.output.settings import OutputDocument
from protos.strict_yaml import ConfigError, load

SCORES = {"model": "toxic", "input": "text", "output": "score"}


def read(**spec: object) -> OutputDocument:
    document = {
        "apiVersion": "penstock/v1",
        "kind": "Output",
        "metadata": {"name": "clean"},
        "spec": spec,
    }
    return load(json.dumps(document, indent=1), "clean.yaml", OutputDocument)


def test_a_document_with_everything():
    spec = read(
        mode="observe",
        minScore=0.6,
        entities={"EMAIL": {"action": "mask", "keepLast": 4}, "PHONE": {"action": "block"}},
        patterns=[{"name": "OATH", "pattern": "blast", "action": "mask", "text": "…"}],
        classifier={**SCORES, "threshold": 0.5, "timeout": "200ms", "onFailure": "pass"},
        phoneRegions=["DE"],
        binaryOutputs=["image"],
    ).spec
    assert spec.classifier is not None
    assert spec.classifier.timeout == 0.2
    assert spec.redaction.rule("EMAIL").keep_last == 4
    assert spec.redaction.rule("OATH").text == "…"
    assert spec.redaction.rule("IBAN").action == "ignore"


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({}, "should have entities, patterns or a classifier"),
        ({"entities": {"EMIAL": {"action": "mask"}}}, 'did you mean "EMAIL"?'),
        ({"entities": {"EMAIL": {"action": "hash"}}}, "should be 'mask' or 'block'"),
        (
            {"entities": {"EMAIL": {"action": "block", "text": "x"}}},
            "keepLast and text go with action mask",
        ),
        (
            {"entities": {"EMAIL": {"action": "mask", "text": "x", "keepLast": 2}}},
            "should have one of keepLast and text",
        ),
        (
            {"patterns": [{"name": "A", "pattern": "(", "action": "mask"}]},
            "the pattern of A is not RE2",
        ),
        (
            {"patterns": [{"name": "A", "pattern": "x*", "action": "mask"}]},
            "matches the empty text",
        ),
        (
            {"patterns": [{"name": "A", "pattern": "x", "action": "block", "text": "y"}]},
            "text goes with action mask",
        ),
        (
            {"patterns": [{"name": "A", "pattern": p, "action": "mask"} for p in "xy"]},
            "spec.patterns[1].name: two things are called A",
        ),
        (
            {"entities": {"EMAIL": {"action": "mask"}}, "phoneRegions": ["UK"]},
            'spec.phoneRegions[0]: "UK" is no region',
        ),
        ({"classifier": SCORES}, "should have one of threshold and labels"),
        ({"classifier": {**SCORES, "threshold": 0.5, "labels": ["toxic"]}}, "should have one of"),
        (
            {"classifier": {**SCORES, "columns": ["a"], "labels": ["a"]}},
            "columns go with threshold",
        ),
        (
            {"classifier": {**SCORES, "threshold": 0.5, "columns": ["toxic"], "labels": ["toxc"]}},
            'no column is called "toxc"; did you mean "toxic"?',
        ),
        ({"classifier": {**SCORES, "threshold": 0.5, "timeout": "0s"}}, "more than zero"),
        ({"clasifier": SCORES}, 'did you mean "classifier"?'),
    ],
)
def test_mistakes_are_told_with_their_place(spec: dict[str, object], sentence: str):
    with pytest.raises(ConfigError) as refused:
        read(**spec)
    assert sentence in str(refused.value)
    assert str(refused.value).startswith("clean.yaml:")


def test_the_documentations_example_holds():
    page = (Path(__file__).parents[3] / "docs" / "output.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert load(example, "output.md", OutputDocument).spec.classifier is not None
