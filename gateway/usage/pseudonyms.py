"""What keys of budgets are called in the record store.

A budget `per: key` is one of an issuer's subject, which is often an address of e-mail. Records need
only tell one from another, so they have a keyed digest of it (BLAKE2b, RFC 7693), which nobody can
try out who has the records alone. The key is derived from that of the decisions' units: replicas
that share a record store share it anyway.
"""

import logging
import secrets
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from gateway.routes.decision_log import KEY_BYTES, gateways_key
from policies.limits.allowance import LimitId
from policies.limits.elsewhere import Called

log = logging.getLogger(__name__)

KEPT = 10_000  # pseudonyms at hand
_DIGEST_BYTES = 16


def pseudonyms(folder: Path, given: Path | None = None) -> Called:
    """Names keys with the given key or that of the state folder, or one of this process's where
    there is none: then what is used of budgets `per: key` doesn't outlive it."""
    try:
        secret = gateways_key(folder, given)
    except (OSError, ValueError) as failure:
        log.warning("budgets per key begin anew with this process: %s", failure)
        secret = secrets.token_bytes(KEY_BYTES)
    return named_with(secret)


def named_with(secret: bytes) -> Called:
    """The same with a given secret."""
    derived = blake2b(secret, person=b"penstock budgets").digest()

    @lru_cache(maxsize=KEPT)
    def digest(key: str) -> str:
        return blake2b(key.encode(), digest_size=_DIGEST_BYTES, key=derived).hexdigest()

    def called(limit_id: LimitId, key: str) -> str:
        return digest(key) if limit_id.per == "key" else key

    return called
