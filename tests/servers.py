"""Servers from packages that integration tests start: found, never installed, from here."""

from pathlib import Path

import pytest

from deploy.servers import PACKAGES, find


def program(name: str) -> Path:
    """Where the server's program is; skips the test, naming it, when this machine hasn't got it."""
    found = find(name)
    if found is None:
        pytest.skip(f"{name} is not here (apt-get install {PACKAGES[name][0]})")
    return found
