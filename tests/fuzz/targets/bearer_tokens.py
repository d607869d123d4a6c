"""Tokens: as they came, and header and claims (in lines of their own) under a right signature.

Nobody becomes somebody whose names could not be written into a key or a log.
"""

import hmac
from base64 import urlsafe_b64encode
from pathlib import Path
from tempfile import TemporaryDirectory

from policies.authenticate import Authenticator
from policies.claims import is_name
from policies.issuers import Issuer
from protos.errors import Kind, PenstockError

SECRET = b"0123456789abcdef0123456789abcdef"
NOW = 1_800_000_000.0
SENTENCE = "a valid bearer token is required"


def _authenticator() -> Authenticator:
    with TemporaryDirectory() as folder:
        secret = Path(folder, "secret")
        secret.write_bytes(SECRET)
        secret.chmod(0o600)
        settings = {
            "name": "company",
            "issuer": "https://login.example",
            "algorithm": "HS256",
            "secretFile": secret,
        }
        return Authenticator([Issuer.model_validate(settings)], lambda: NOW)


AUTHENTICATOR = _authenticator()


def one(data: bytes) -> None:
    _try(data)
    header, _, claims = data.partition(b"\n")
    signed = _segment(header) + b"." + _segment(claims)
    _try(signed + b"." + _segment(hmac.digest(SECRET, signed, "sha256")))


def _try(token: bytes) -> None:
    try:
        principal = AUTHENTICATOR.verify(token, NOW)
    except PenstockError as error:
        if (error.kind, error.message) != (Kind.UNAUTHENTICATED, SENTENCE):
            raise
        return
    assert is_name(principal.subject)
    assert is_name(principal.tenant)
    assert all(isinstance(scope, str) and scope for scope in principal.scopes)


def _segment(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")
