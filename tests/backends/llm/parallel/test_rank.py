"""What a rank does as it is told, and how it answers."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backends.llm.parallel import rank
from backends.llm.parallel.part import Part
from backends.llm.parallel.rank import Handed
from tests.backends.llm import tiny_models


def test_every_reading_is_answered_whatever_goes_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise NotImplementedError("for Float8")

    monkeypatch.setattr(rank, "read", fail)
    model = tiny_models.reference(tiny_models.write(tmp_path / "m"))
    handed = Handed(cast(Part, SimpleNamespace(model=model, shards={})))
    said: list[dict[str, Any]] = []
    handed.obey({"read": "1", "folder": str(tmp_path), "digest": ""}, said.append)
    assert said == [{"fault": "the adapter can't be read: NotImplementedError"}]
