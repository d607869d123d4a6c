"""Marks entries of a shared store, so that only what a gateway wrote under a name is believed.

A keyed digest (BLAKE2b, RFC 7693) covers the entry and the whole name that it was written under: an
entry that somebody made, changed, cut off or moved, or that a confused connection answered another
call with, is none.
"""

import hmac
from hashlib import blake2b

SIZE = 32  # bytes


class Seal:
    """Seals under one secret."""

    def __init__(self, secret: bytes) -> None:
        self._keyed = blake2b(
            key=hmac.digest(secret, b"penstock cache entries", "sha512"), digest_size=SIZE
        )

    def close(self, key: bytes, entry: bytes) -> bytes:
        """The entry with its mark; `key` is its name's digest, of fixed length."""
        return self._mark(key, entry) + entry

    def open(self, key: bytes, sealed: bytes) -> bytes | None:
        """The entry, or None if the mark isn't that of this entry under this name."""
        entry = sealed[SIZE:]
        if not hmac.compare_digest(sealed[:SIZE], self._mark(key, entry)):
            return None
        return entry

    def _mark(self, key: bytes, entry: bytes) -> bytes:
        hashed = self._keyed.copy()
        hashed.update(key)
        hashed.update(entry)
        return hashed.digest()

    def __repr__(self) -> str:
        return "<Seal>"
