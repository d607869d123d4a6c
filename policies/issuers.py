"""Whose tokens are accepted: an issuer's settings, and the key that they name."""

from pathlib import Path
from typing import Annotated, Any, Literal

import jwt
from pydantic import AfterValidator, Field, model_validator

from protos.errors import PenstockError, invalid
from protos.quantities import Duration, seconds
from protos.settings import Settings

Hmac = Literal["HS256", "HS384", "HS512"]
Rsa = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
Elliptic = Literal["ES256", "ES384", "ES512", "EdDSA"]
_REGISTERED = {"iss", "aud", "exp", "nbf", "iat", "jti"}
MAX_LEEWAY = 60.0  # seconds; more would keep revoked and expired tokens alive


def _leeway(value: float) -> float:
    if value > MAX_LEEWAY:
        raise ValueError("leeway is at most 60s")
    return value


class Issuer(Settings):
    """One issuer. It signs with exactly one algorithm, so that no token can choose another.

    `development` lets `penstock token` sign with this issuer's secret, which is made on first use.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    issuer: str = Field(min_length=1)
    algorithm: Hmac | Rsa | Elliptic
    secret_file: Path | None = None
    public_key_file: Path | None = None
    development: bool = False
    audience: str = Field("penstock", min_length=1)
    tenant_claim: str = Field("tenant", min_length=1)
    scope_claim: str = Field("scope", min_length=1)
    leeway: Annotated[Duration, AfterValidator(_leeway)] = seconds("30s")
    max_lifetime: Duration = seconds("24h")

    @model_validator(mode="after")
    def _one_key_of_the_right_family(self) -> "Issuer":
        symmetric = self.algorithm.startswith("HS")
        if symmetric and (self.secret_file is None or self.public_key_file is not None):
            raise ValueError(f"algorithm {self.algorithm} takes secretFile and no publicKeyFile")
        if not symmetric and (self.public_key_file is None or self.secret_file is not None):
            raise ValueError(f"algorithm {self.algorithm} takes publicKeyFile and no secretFile")
        if self.development and not symmetric:
            raise ValueError("a development issuer signs with a secret: use HS256 and secretFile")
        named = {self.tenant_claim, self.scope_claim}
        if len(named) == 1 or named & _REGISTERED or (self.development and "sub" in named):
            raise ValueError(
                "tenantClaim and scopeClaim are two claims with a meaning of their own"
            )
        return self


def load_key(issuer: Issuer) -> Any:
    """The issuer's verification key, prepared and checked for its algorithm.

    One line break at the end of a secret's file does not belong to the secret. Raises INVALID for a
    file that cannot be read, a key of another family and a key that is too short.
    """
    path = issuer.secret_file or issuer.public_key_file
    if path is None:
        raise invalid(f'issuer "{issuer.name}" has no key')
    try:
        material = path.read_bytes()
    except OSError as failure:
        raise _unusable(issuer, failure.strerror or "it cannot be read") from failure
    if issuer.secret_file is not None:
        material = material.removesuffix(b"\n").removesuffix(b"\r")
    algorithm = jwt.get_algorithm_by_name(issuer.algorithm)
    try:
        key = algorithm.prepare_key(material)
        complaint = algorithm.check_key_length(key)
    except Exception as failure:  # PyJWT and cryptography raise half a dozen unrelated types
        raise _unusable(issuer, f"it holds no key for {issuer.algorithm}") from failure
    if complaint:
        raise _unusable(issuer, f"it is too short for {issuer.algorithm}")
    if issuer.public_key_file is not None and hasattr(key, "private_bytes"):
        raise _unusable(issuer, "it holds a private key, which does not belong on a gateway")
    return key


def _unusable(issuer: Issuer, why: str) -> PenstockError:
    field = "secretFile" if issuer.secret_file is not None else "publicKeyFile"
    return invalid(f'the {field} of issuer "{issuer.name}" is not usable: {why}')
