"""The real reader. With a model it is in tests/integration/test_deep_privacy.py."""

from pathlib import Path

import pytest

from policies.pii.deep.pool import Pool
from policies.pii.deep.settings import Deep
from protos.errors import PenstockError


async def test_what_keeps_it_from_starting_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = Pool(Deep(model=str(tmp_path / "none")).model_copy(update={"timeout": 60.0}))
    with pytest.raises(PenstockError, match="could not be looked for"):
        await made.find(["Jane"])
    await made.stop()
    assert "neither an installed spaCy model nor a folder" in caplog.text
