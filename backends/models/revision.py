"""What a version is: the digest of its artifact and configuration, the same on every machine."""

import hashlib
from pathlib import Path

from backends.models.repository import Candidate

_CHUNK = 1 << 20


class Revisions:
    """Computes revisions; a file is read again only if its size or time changed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._digests: dict[Path, tuple[int, int, bytes]] = {}

    def of(self, candidate: Candidate) -> str:
        """64 hexadecimal digits over all files of the version, by their place in its folder."""
        whole = hashlib.sha256(candidate.artifact.name.encode())
        for relative, size, modified in candidate.stamp:
            path = self._root / relative
            whole.update(str(path.relative_to(candidate.folder)).encode("utf-8", "surrogateescape"))
            whole.update(self._digest(path, size, modified))
        return whole.hexdigest()

    def _digest(self, path: Path, size: int, modified: int) -> bytes:
        known = self._digests.get(path)
        if known is not None and known[:2] == (size, modified):
            return known[2]
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        self._digests[path] = (size, modified, digest.digest())
        return digest.digest()
