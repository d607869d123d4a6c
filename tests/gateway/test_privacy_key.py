"""The key of placeholders: one that all gateways share, or one that this gateway made."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from stat import S_IMODE

import pytest

from gateway.privacy_key import KEY_FILE, PrivacySettings, privacy_key
from protos.errors import PenstockError


def test_without_a_file_all_workers_make_and_keep_one(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: privacy_key(PrivacySettings(), folder), range(8)))

    assert keys == {(folder / KEY_FILE).read_bytes()}
    assert S_IMODE((folder / KEY_FILE).stat().st_mode) == 0o600


def test_a_file_is_the_key_without_its_line_end(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"0123456789abcdef\n")

    assert privacy_key(PrivacySettings(keyFile=file), tmp_path) == b"0123456789abcdef"


def test_a_key_that_is_missing_or_short_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PenstockError, match="can't be read: No such file"):
        privacy_key(PrivacySettings(keyFile=tmp_path / "none"), tmp_path)

    (tmp_path / KEY_FILE).write_bytes(b"half")
    with pytest.raises(PenstockError, match="has 4 bytes, 16 are needed"):
        privacy_key(PrivacySettings(), tmp_path)
