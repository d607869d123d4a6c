"""docs/configuration.md names every key that the schema knows, where it belongs."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config import schema
from protos.quantities import seconds, size

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
SCHEMA = schema()
ROW = re.compile(r"^\| `(\w+)` \| (.*) \| (.*) \|$", re.MULTILINE)


def properties(model: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = model.get("properties", {})
    return found


def blocks() -> Iterator[tuple[str, str]]:
    """Every key with the name of the block that it stands in, "" at the top."""
    for key in properties(SCHEMA):
        yield "", key
    for name, model in SCHEMA["$defs"].items():
        for key in properties(model):
            yield name, key


@pytest.mark.parametrize(("block", "key"), list(blocks()), ids=lambda each: each or "top")
def test_every_key_is_on_the_page(block: str, key: str) -> None:
    assert re.search(rf"`{key}`", PAGE), f"{key} of {block or 'the file'} is missing"


def test_no_key_on_the_page_is_unknown() -> None:
    known = {key for _, key in blocks()}
    assert [key for key, _, _ in ROW.findall(PAGE) if key not in known] == []


@pytest.mark.parametrize(
    ("block", "name"),
    [
        ("limits", "Limits"),
        ("timeouts", "Timeouts"),
        ("cache", "CacheSettings"),
        ("audit", "AuditSettings"),
        ("decisions", "Decisions"),
        ("state", "StateSettings"),
        ("issuers", "Issuer"),
    ],
)
def test_defaults_on_the_page_are_the_defaults(block: str, name: str) -> None:
    section = PAGE.partition(f"### `{block}`\n")[2].partition("\n##")[0]
    told = {key: value for key, _, value in ROW.findall(section)}
    for key, model in properties(SCHEMA["$defs"][name]).items():
        default = model.get("default")
        if isinstance(default, str | int) and not isinstance(default, bool) and default != "":
            assert measure(told[key].strip("`")) == measure(str(default)), key


def measure(text: str) -> object:
    """A duration's seconds, a size's bytes, or what YAML makes of it."""
    for read in (seconds, size):
        try:
            return read(text)
        except ValueError:
            continue
    return yaml.safe_load(text)
