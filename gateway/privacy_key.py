"""The key of placeholders and digests: the same in every gateway, or they would tell people apart.

With a key of its own a gateway hides and restores as well; only what the placeholders look like
differs from one replica to the next, and so does what a cache or a model remembers of them.
"""

from pathlib import Path

from gateway.own_key import given_key, own_key
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
        return given_key("privacy.keyFile", settings.key_file, MIN_KEY)
    path = state_folder / KEY_FILE
    try:
        key = own_key(path, _KEY_BYTES)
    except OSError as error:
        raise invalid(f"stateFolder: no {KEY_FILE} can be kept there: {error.strerror}") from None
    if len(key) < MIN_KEY:
        raise invalid(f"stateFolder: {path} has {len(key)} bytes, {MIN_KEY} are needed")
    return key
