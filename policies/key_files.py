"""Keys that lie in files of this machine."""

from pathlib import Path
from typing import Any

import jwt

from policies.issuers import Issuer
from policies.jwks import KeySet, parse_key_set
from protos.errors import PenstockError, invalid


def load_keys(issuer: Issuer) -> KeySet:
    """The keys in the issuer's file; raises INVALID if it holds none for its algorithm."""
    if issuer.jwks_file is None:
        return KeySet({}, load_key(issuer))
    content = _read(issuer, "jwksFile", issuer.jwks_file)
    try:
        return parse_key_set(content, issuer.algorithm)
    except Exception as failure:  # whatever rubbish makes the parsers raise
        raise _unusable(issuer, "jwksFile", str(failure)) from failure


def load_key(issuer: Issuer) -> Any:
    """The issuer's secret or PEM key, prepared and checked for its algorithm.

    One line break at the end of a secret's file does not belong to the secret. Raises INVALID for a
    file that cannot be read, a key of another family and a key that is too short.
    """
    if issuer.secret_file is not None:
        field, path = "secretFile", issuer.secret_file
    elif issuer.public_key_file is not None:
        field, path = "publicKeyFile", issuer.public_key_file
    else:
        raise invalid(f'issuer "{issuer.name}" has no key in a file')
    material = _read(issuer, field, path)
    if issuer.secret_file is not None:
        material = material.removesuffix(b"\n").removesuffix(b"\r")
    algorithm = jwt.get_algorithm_by_name(issuer.algorithm)
    try:
        key = algorithm.prepare_key(material)
        complaint = algorithm.check_key_length(key)
    except Exception as failure:  # PyJWT and cryptography raise half a dozen unrelated types
        raise _unusable(issuer, field, f"it holds no key for {issuer.algorithm}") from failure
    if complaint:
        raise _unusable(issuer, field, f"it is too short for {issuer.algorithm}")
    if issuer.public_key_file is not None and hasattr(key, "private_bytes"):
        raise _unusable(issuer, field, "it holds a private key, which does not belong on a gateway")
    return key


def _read(issuer: Issuer, field: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as failure:
        why = failure.strerror or "it cannot be read"
        raise _unusable(issuer, field, f"{path}: {why}") from failure


def _unusable(issuer: Issuer, field: str, why: str) -> PenstockError:
    return invalid(f'the {field} of issuer "{issuer.name}" is not usable: {why}')
