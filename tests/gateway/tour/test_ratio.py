"""The plain web wrapper that the tour compares with."""

import shutil
from pathlib import Path

import pytest

from gateway.tour.ratio import _wrapper
from protos.errors import PenstockError


async def test_a_wrapper_that_cant_start_is_told_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gateway.tour.ratio.sys.executable", shutil.which("false"))
    with pytest.raises(PenstockError, match="the plain web wrapper ended with status 1"):
        async with _wrapper(tmp_path):
            raise AssertionError
