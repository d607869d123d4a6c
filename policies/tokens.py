"""Secrets that this machine makes for itself, and the tokens for development signed with one."""

import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

import jwt

from policies.authorize import check_scope
from policies.claims import MAX_NAME, is_name
from policies.issuers import Issuer
from policies.key_files import load_key
from protos.errors import invalid


def ensure_secret(path: Path) -> None:
    """Makes the secret unless it exists: 32 random bytes as base64url text, for the owner's eyes.

    Raises INVALID for an existing file that others can read, OSError where it can't be written. A
    group may read what somebody else put there: Kubernetes mounts secrets as root's, readable by
    the pod's group, and that is the only way to read them without being root.
    """
    if not path.exists():
        _create(path, secrets.token_urlsafe(32) + "\n")
    found = path.stat()
    others = 0o077 if found.st_uid == os.geteuid() else 0o037
    if stat.S_IMODE(found.st_mode) & others:
        raise invalid(f"the secret in {path.name} is readable by others: chmod 600 it")


def _create(path: Path, text: str) -> None:
    """Whole or not at all: of two processes that start together, both end up with one secret."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    try:
        os.link(draft, path)  # unlike a rename, it never replaces the other's
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def issue(
    issuer: Issuer,
    *,
    tenant: str,
    scopes: Iterable[str],
    subject: str,
    lifetime: float,
    now: float,
) -> str:
    """A signed token, valid from `now` (wall time) for `lifetime` seconds.

    Raises INVALID for an issuer that isn't for development, an unknown scope or a lifetime that the
    gateway would refuse.
    """
    if not issuer.development or issuer.secret_file is None:
        raise invalid(f'issuer "{issuer.name}" is not for development: it issues its own tokens')
    if not 0 < lifetime <= issuer.max_lifetime:
        raise invalid(f"lifetime: must be above 0 and at most {issuer.max_lifetime:g} seconds")
    for name, value in (("tenant", tenant), ("subject", subject)):
        if not is_name(value):
            raise invalid(f"{name}: must be 1 to {MAX_NAME} printable characters")
    granted = list(scopes)
    for scope in granted:
        check_scope(scope)
    claims = {
        "iss": issuer.issuer,
        "aud": issuer.audience,
        "sub": subject,
        issuer.tenant_claim: tenant,
        issuer.scope_claim: " ".join(granted),
        "iat": int(now),
        "exp": int(now + lifetime),
    }
    return jwt.encode(claims, load_key(issuer), issuer.algorithm)
