"""API keys: long random names for callers that can't sign in, of which only digests are stored."""

import base64
import logging
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from math import inf
from pathlib import Path
from types import MappingProxyType

from policies.authorize import check_scope
from policies.claims import MAX_NAME, is_name
from policies.refusal import Rejected
from protos.errors import invalid
from protos.principal import Principal
from protos.quantities import Duration, seconds
from protos.settings import Settings

log = logging.getLogger(__name__)

PREFIX = b"pk_"
ISSUER = "api key"  # no issuer of tokens can be called so
MAX_KEY_BYTES = 128
_SECRET_BYTES = 32
_MAX_SECRET_BYTES = 64  # as a key of BLAKE2b


class ApiKeySettings(Settings):
    """API keys are accepted, whose digests in the record store are made with the secret in a file.

    The first `penstock keys create` makes `secretFile`; gateways that share a store share it too.
    While the store doesn't answer, the keys that were known count for `keep`.
    """

    secret_file: Path
    keep: Duration = seconds("24h")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is stored of a key. Times are wall time in seconds, and None means never.

    `id` is the part of the key that may be shown; `sealed_with` tells the secret that `digest` was
    made with from others.
    """

    id: str
    name: str
    tenant: str
    scopes: tuple[str, ...]
    created: float
    created_by: str
    expires: float | None = None
    revoked: float | None = None
    revoked_by: str = ""
    digest: bytes = field(default=b"", repr=False)
    sealed_with: bytes = field(default=b"", repr=False)


def make_key(
    secret: bytes,
    *,
    name: str,
    tenant: str,
    scopes: Collection[str],
    lifetime: float | None,
    now: float,
    by: str,
) -> tuple[ApiKey, str]:
    """A new key as it is stored, and the key itself, which is known to nobody afterwards.

    Raises INVALID for names that no principal may have and scopes that don't exist.
    """
    for what, value in (("name", name), ("tenant", tenant)):
        if not is_name(value):
            raise invalid(f"{what}: must be 1 to {MAX_NAME} printable characters")
    if not scopes:
        raise invalid("scope: a key without one could do nothing")
    for scope in scopes:
        check_scope(scope)
    if lifetime is not None and lifetime <= 0:
        raise invalid("lifetime: must be more than zero")
    public = _letters(10)
    key = f"pk_{public}_{_letters(_SECRET_BYTES)}"
    stored = ApiKey(
        public,
        name,
        tenant,
        tuple(sorted(set(scopes))),
        now,
        by,
        None if lifetime is None else now + lifetime,
        digest=digest(secret, key.encode()),
        sealed_with=mark(secret),
    )
    return stored, key


def digest(secret: bytes, key: bytes) -> bytes:
    """Keyed BLAKE2b (RFC 7693), a quarter of HMAC-SHA256's time.

    A stolen store tells nothing without the secret, and since nobody else can foresee a digest, the
    time of a look-up by it tells nothing either.
    """
    return blake2b(key, digest_size=32, key=secret, person=b"penstock api key").digest()


def mark(secret: bytes) -> bytes:
    """What tells this secret from another and tells nothing else."""
    return blake2b(digest_size=8, key=secret, person=b"penstock secret").digest()


@dataclass(frozen=True, slots=True)
class KeyBook:
    """The keys that count, by digest. `sealed_otherwise` have been made with another secret."""

    secret: bytes = field(repr=False)
    bearers: Mapping[bytes, tuple[Principal, float]]
    sealed_otherwise: int = 0

    @classmethod
    def of(cls, secret: bytes, keys: Collection[ApiKey]) -> "KeyBook":
        live = [key for key in keys if key.revoked is None]
        ours = mark(secret)
        return cls(
            secret,
            {key.digest: _bearer(key) for key in live if key.sealed_with == ours},
            sum(key.sealed_with != ours for key in live),
        )

    def principal(self, key: bytes, now: float) -> Principal:
        """Whose key this is at wall time `now`; raises Rejected for nobody's."""
        if len(key) > MAX_KEY_BYTES:
            raise Rejected("the API key is too long")
        found = self.bearers.get(digest(self.secret, key))
        if found is None:
            raise Rejected("the API key is unknown or revoked")
        principal, expires = found
        if now >= expires:
            raise Rejected("the API key has expired")
        return principal


def reader(
    settings: ApiKeySettings, stored: Callable[[], Collection[ApiKey]]
) -> Callable[[], KeyBook]:
    """What reads the secret and the `stored` keys; raises INVALID when the secret is unusable."""
    foreign = 0

    def read() -> KeyBook:
        nonlocal foreign
        keys = stored()
        book = KeyBook.of(read_secret(settings.secret_file), keys) if keys else KeyBook(b"", {})
        if book.sealed_otherwise not in (0, foreign):
            log.warning(
                "%d API keys were made with another secret than this gateway's, and are refused",
                book.sealed_otherwise,
            )
        foreign = book.sealed_otherwise
        return book

    return read


def read_secret(path: Path) -> bytes:
    """Without the line break at its end. Raises INVALID for one that can't be read or used."""
    try:
        secret = path.read_bytes().strip()
    except OSError as failure:
        why = failure.strerror or "it can't be read"
        raise invalid(
            f"apiKeys.secretFile is not usable: {path}: {why}; `penstock keys create` makes one"
        ) from failure
    if not _SECRET_BYTES <= len(secret) <= _MAX_SECRET_BYTES:
        size = f"{_SECRET_BYTES} to {_MAX_SECRET_BYTES} bytes"
        why = f"{path} has {len(secret)} bytes, not {size}"
        raise invalid(f"apiKeys.secretFile is not usable: {why}")
    return secret


def _bearer(key: ApiKey) -> tuple[Principal, float]:
    claims = MappingProxyType({"key": key.id})
    principal = Principal(key.name, key.tenant, frozenset(key.scopes), ISSUER, claims)
    return principal, inf if key.expires is None else key.expires


def _letters(size: int) -> str:
    """So many random bytes in small letters and digits, which a double click selects whole."""
    return base64.b32encode(secrets.token_bytes(size)).decode().rstrip("=").lower()
