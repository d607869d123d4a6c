"""YAML and JSON on the pages is what Penstock's own readers take."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from backends.models.config import ModelConfig
from gateway.config import Config
from gateway.routes.documents import check_texts
from gateway.routes.kinds import BY_NAME
from protos.strict_yaml import read, validate
from tests.docs.pages import ROOT, WRITTEN, Block, blocks
from tests.docs.plugin_package import install

YAML = [each for file in WRITTEN for each in blocks(file) if each.language == "yaml"]
COOKBOOK = [each for each in YAML if each.file.name == "cookbook.md"]
# Keys of what other programs read: Prometheus, its adapter for Kubernetes.
OTHERS = {"scrape_configs", "rules"}
CHART = json.loads((ROOT / "deploy" / "helm" / "penstock" / "values.schema.json").read_text())

MATCH = "match: [{model: fraud}]"
STABLE = '{name: stable, model: fraud, version: "3"}'
CANARY = '{name: canary, model: fraud, version: "4"}'


@pytest.fixture(autouse=True)
def policy_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that docs/plugins.md writes is installed."""
    install(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


def as_config(block: Block) -> None:
    # What files and folders it names are the reader's own; only the form is looked at.
    whole = {"apiVersion": "penstock/v1", "kind": "Penstock", **value(block)}
    validate(read(yaml.safe_dump(whole), str(block)), Config)


def as_model(block: Block) -> None:
    validate(read(block.text, str(block)), ModelConfig)


def as_policy(block: Block) -> None:
    found = value(block)
    head = {"apiVersion": "penstock/v1", "kind": "Privacy", "metadata": {"name": "page"}}
    kind = BY_NAME[found.get("kind", "Privacy")]
    validate(read(yaml.safe_dump({**head, **found}), str(block)), kind.document)


def as_values(block: Block) -> None:
    jsonschema.validate(value(block), CHART)


def as_route(block: Block) -> None:
    """A document, its `spec`, or some parts of that; what is left out is made up."""
    found = value(block)
    spec = found.get("spec", found)
    lines = [block.text] if "spec" in found else ["spec:", *moved(block.text)]
    if "metadata" not in found:
        lines[:0] = ["apiVersion: penstock/v1", "kind: Route", "metadata: {name: page}"]
    if "match" not in spec:
        lines.append(f"  {MATCH}")
    if "backends" not in spec:
        lines.append(f"  backends: [{STABLE}, {CANARY}]")
    named = [(str(each), each.text) for each in YAML if policy(each) and each.file == block.file]
    check_texts([(str(block), "\n".join(lines)), *named])


def policy(block: Block) -> bool:
    return value(block).get("kind") in BY_NAME


def value(block: Block) -> dict[str, Any]:
    found = yaml.safe_load(block.text)
    assert isinstance(found, dict), block
    return found


def moved(text: str) -> list[str]:
    return [f"  {line}" for line in text.splitlines()]


def reader(block: Block) -> Callable[[Block], None] | None:
    """By a block's keys, or what its page is about; None for other programs' files."""
    found = value(block)
    if found.keys() & OTHERS:
        return None
    if policy(block) or "deep" in found.get("spec", {}):
        return as_policy
    if block.file.name in BY_PAGE:
        return BY_PAGE[block.file.name]
    # Both have limits and a cache: lists of them are a route's.
    ours = {field.alias for field in Config.model_fields.values()}
    if found.keys() <= ours and "spec" not in found and not isinstance(found.get("limits"), list):
        return as_config
    return as_route


BY_PAGE = {"models.md": as_model, "deploy.md": as_values}


@pytest.mark.parametrize("block", [each for each in YAML if reader(each)], ids=str)
def test_what_a_page_shows_is_read(block: Block) -> None:
    read_ = reader(block)
    assert read_ is not None
    read_(block)


def test_only_what_other_programs_read_is_not_read_here() -> None:
    assert [each.file.name for each in YAML if reader(each) is None] == ["deploy.md", "metrics.md"]


def test_the_routes_of_the_cookbook_hold_together_and_leave_nothing_out() -> None:
    documents = check_texts([(str(each), each.text) for each in COOKBOOK])
    assert len(documents.routes) >= 15
    assert documents.notes == []


@pytest.mark.parametrize(
    "block",
    [each for file in WRITTEN for each in blocks(file) if each.language == "json"],
    ids=str,
)
def test_json_is_json(block: Block) -> None:
    for line in block.text.replace("…", "").split("\n\n"):
        json.loads(line)
