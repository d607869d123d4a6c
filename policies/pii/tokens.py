"""Keyed hashes of values: the same for the same tenant, entity and value, and of no use elsewhere.

A value's placeholder can so be found again in the history that a client sends with each turn of a
conversation, though nothing is kept between requests.
"""

import hmac
from hashlib import blake2b

MIN_KEY = 16  # bytes
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"  # base32, RFC 4648
_PAIRS = tuple(one + other for one in _ALPHABET for other in _ALPHABET)


class Tokens:
    """Hashes under one secret key (BLAKE2b, RFC 7693)."""

    def __init__(self, key: bytes) -> None:
        """Raises ValueError for a key of fewer than 16 bytes."""
        if len(key) < MIN_KEY:
            raise ValueError(f"the privacy key has {len(key)} bytes, {MIN_KEY} are needed")
        # A key of the hash's own size, derived so that no other use of the secret meets this one.
        self._keyed = blake2b(key=hmac.digest(key, b"penstock privacy", "sha512"), digest_size=20)

    def placeholder(self, tenant: str, entity: str, value: str) -> str:
        """Six letters and digits (30 bits) for a canonical value."""
        number = int.from_bytes(self._digest(tenant, entity, value)[:4], "big")
        return _PAIRS[number >> 22] + _PAIRS[number >> 12 & 1023] + _PAIRS[number >> 2 & 1023]

    def digest(self, tenant: str, entity: str, value: str) -> str:
        """Sixteen hexadecimal digits for a canonical value."""
        return self._digest(tenant, entity, value)[:8].hex()

    def _digest(self, *parts: str) -> bytes:
        hashed = self._keyed.copy()
        raws = [part.encode("utf-8", "surrogatepass") for part in parts]
        # With lengths, so that no two lists of parts are alike.
        hashed.update(b"".join(b"%d:%b" % (len(raw), raw) for raw in raws))
        return hashed.digest()

    def __repr__(self) -> str:
        return "<Tokens>"
