"""The JSON Schemas that editors use are those of this version: `make schemas` writes them anew."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway import config
from gateway.routes.kinds import schemas

SCHEMAS = Path(__file__).parent.parent / "docs" / "schemas"


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("penstock.json", config.schema()),
        *((f"{kind.lower()}.json", made) for kind, made in schemas().items()),
    ],
)
def test_the_published_schema_is_the_present_one(name: str, made: dict[str, Any]) -> None:
    assert json.loads((SCHEMAS / name).read_text()) == made
