"""Secret keys of a gateway: those that operators give it, and those that it makes for itself."""

import os
import tempfile
from pathlib import Path

from protos.errors import invalid


def given_key(field: str, path: Path, least: int) -> bytes:
    """The key of at least so many bytes in a file that `field` names, without blanks around it.

    Raises INVALID.
    """
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise invalid(
            f"{field}: {path} can't be read: {error.strerror}; to make one:"
            f" head -c 32 /dev/urandom | base64 > {path}"
        ) from None
    if len(key) < least:
        raise invalid(f"{field}: {path} has {len(key)} bytes, {least} are needed")
    return key


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
