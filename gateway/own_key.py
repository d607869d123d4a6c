"""Secret keys that a gateway makes for itself, each in a file of its state folder."""

import os
import tempfile
from pathlib import Path


def own_key(path: Path, size: int) -> bytes:
    """The key in the file; where there is none, one of `size` random bytes is made, mode 0600.

    Raises OSError where the folder can't be used.
    """
    if not path.exists():
        _make(path, size)
    return path.read_bytes()


def _make(path: Path, size: int) -> None:
    """Several workers may come at once: the first key wins, and nobody reads half of one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, new = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}")  # ours only
    with os.fdopen(descriptor, "wb") as file:
        file.write(os.urandom(size))
    try:
        os.link(new, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(new)
