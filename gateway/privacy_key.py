"""The key of placeholders and digests: the same in every gateway, or they would tell people apart.

With a key of its own a gateway hides and restores as well; only what the placeholders look like
differs from one replica to the next, and so does what a cache or a model remembers of them.
"""

from pathlib import Path

from gateway.own_key import own_key
from policies.pii.tokens import MIN_KEY
from protos.errors import invalid
from protos.settings import Settings

KEY_FILE = "privacy.key"
_KEY_BYTES = 32


class PrivacySettings(Settings):
    """`keyFile` has at least 16 bytes; without it one is made in the state folder."""

    key_file: Path | None = None


def privacy_key(settings: PrivacySettings, state_folder: Path) -> bytes:
    """The gateway's key. Raises INVALID for a file that can't be used."""
    if settings.key_file is not None:
        return read_key(settings.key_file)
    try:
        return _long_enough(own_key(state_folder / KEY_FILE, _KEY_BYTES), state_folder / KEY_FILE)
    except OSError as error:
        raise invalid(f"stateFolder: no {KEY_FILE} can be kept there: {error.strerror}") from None


def read_key(path: Path) -> bytes:
    """The key in a file, without blanks around it. Raises INVALID."""
    try:
        return _long_enough(path.read_bytes().strip(), path)
    except OSError as error:
        raise invalid(f"keyFile {path} can't be read: {error.strerror}") from None


def _long_enough(key: bytes, path: Path) -> bytes:
    if len(key) < MIN_KEY:
        raise invalid(f"keyFile {path} has {len(key)} bytes, {MIN_KEY} are needed")
    return key
