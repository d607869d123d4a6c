"""Sets of verification keys, and how they are read from a JWK Set (RFC 7517)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from policies.json_object import Json, json_object
from policies.refusal import Rejected

MAX_KEYS = 100
MAX_RSA_BITS = 8192  # a check takes time that grows with the square
_CURVES = {
    "ES256": ("P-256",),
    "ES384": ("P-384",),
    "ES512": ("P-521",),
    "EdDSA": ("Ed25519", "Ed448"),
}


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of one issuer, prepared for its algorithm, by their ids.

    `only` is a key without an id from a file of its own, which answers to every id.
    """

    by_id: Mapping[str, Any]
    only: Any = None

    def find(self, kid: str | None) -> Any:
        """The key of that id; for a token that names none, the one that there is. None: no such."""
        if self.only is not None:
            return self.only
        if kid is not None:
            return self.by_id.get(kid)
        return next(iter(self.by_id.values())) if len(self.by_id) == 1 else None

    def holds(self, key: Any) -> bool:
        return key == self.only or any(key == each for each in self.by_id.values())


def parse_key_set(content: bytes, algorithm: str) -> KeySet:
    """The keys of a JWK Set that verify `algorithm`; the others in it are somebody else's.

    A key without an id counts as "", which no token can name. Raises Rejected, or what parsing
    raises, for text that is no JWK Set, for one without a usable key (a mishap far more often than
    a withdrawal), and for two different keys of one id.
    """
    members = json_object(content).get("keys")
    if not isinstance(members, list):
        raise Rejected("it has no list of keys")
    if len(members) > MAX_KEYS:
        raise Rejected(f"it has more than {MAX_KEYS} keys")
    keys: dict[str, Any] = {}
    for member in members:
        if not isinstance(member, dict) or not _meant_for(member, algorithm):
            continue
        key = _prepared(member, algorithm)
        if key is not None and keys.setdefault(member.get("kid", ""), key) != key:
            raise Rejected("two keys have one id")
    if not keys:
        raise Rejected(f"it has no key for {algorithm}")
    return KeySet(keys)


def _meant_for(member: Json, algorithm: str) -> bool:
    """By what the key says of itself; what it doesn't say counts as agreement (RFC 7517, 4)."""
    if algorithm in _CURVES:
        family = "OKP" if algorithm == "EdDSA" else "EC"
        if member.get("crv") not in _CURVES[algorithm]:
            return False
    else:
        family = "RSA"
    operations = member.get("key_ops", ["verify"])
    return (
        member.get("kty") == family
        and member.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and member.get("alg", algorithm) == algorithm
        and isinstance(member.get("kid", ""), str)
    )


def _prepared(member: Json, algorithm: str) -> Any:
    """The key; None for one that can't be used, which RFC 7517, 5 says to ignore.

    So is a private key: everybody who could read it can sign with it.
    """
    if "d" in member:
        return None
    scheme = jwt.get_algorithm_by_name(algorithm)
    try:
        key = scheme.prepare_key(scheme.from_jwk(member))
        weak = scheme.check_key_length(key)
    except Exception:  # PyJWT and cryptography raise half a dozen unrelated types
        return None
    return None if weak or getattr(key, "key_size", 0) > MAX_RSA_BITS else key
