"""Whose tokens are accepted: an issuer's settings."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from policies.discovery_document import Discovery
from policies.key_address import check_address
from protos.quantities import Duration, seconds
from protos.settings import Settings

Hmac = Literal["HS256", "HS384", "HS512"]
Rsa = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
Elliptic = Literal["ES256", "ES384", "ES512", "EdDSA"]
_REGISTERED = {"iss", "aud", "exp", "nbf", "iat", "jti"}
MAX_LEEWAY = 60.0  # seconds; more would keep revoked and expired tokens alive
MIN_REFRESH = 30.0  # seconds; attempts to fetch keys are so far apart anyway


def _leeway(value: float) -> float:
    if value > MAX_LEEWAY:
        raise ValueError("leeway is at most 60s")
    return value


class KeyFetching(Settings):
    """How keys are fetched. `ca` is whom to trust besides the usual authorities' list, PEM.

    Keys are asked for every `refresh`. While that fails, the last good ones count for `keep`.
    """

    ca: Path | None = None
    refresh: Duration = seconds("5m")
    keep: Duration = seconds("24h")

    @model_validator(mode="after")
    def _long_enough(self) -> Self:
        if self.refresh < MIN_REFRESH:
            raise ValueError("refresh is at least 30s")
        if self.keep < 2 * self.refresh:
            raise ValueError("keep is at least twice refresh, or one failure would lose the keys")
        return self


class Issuer(Settings):
    """One issuer. It signs with exactly one algorithm, so that no token can choose another.

    Its keys come from one place: `secretFile` for HS algorithms; `publicKeyFile` (PEM), `jwksFile`,
    `jwksUrl` or `discovery`, which finds the URL in the issuer's metadata, for the others. Files
    are read again while the gateway runs. `development` lets `penstock token` sign with this
    issuer's secret, which is made on first use, or lets keys be fetched in plain text on loopback.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    issuer: str = Field(min_length=1)
    algorithm: Hmac | Rsa | Elliptic
    secret_file: Path | None = None
    public_key_file: Path | None = None
    jwks_file: Path | None = None
    jwks_url: str | None = None
    discovery: Discovery | None = None
    fetch: KeyFetching = KeyFetching()
    development: bool = False
    audience: str = Field("penstock", min_length=1)
    tenant_claim: str = Field("tenant", min_length=1)
    scope_claim: str = Field("scope", min_length=1)
    leeway: Annotated[Duration, AfterValidator(_leeway)] = seconds("30s")
    max_lifetime: Duration = seconds("24h")

    @property
    def fetches_keys(self) -> bool:
        return self.jwks_url is not None or self.discovery is not None

    @model_validator(mode="after")
    def _one_source_of_keys_of_the_right_family(self) -> Self:
        public = {
            "publicKeyFile": self.public_key_file,
            "jwksFile": self.jwks_file,
            "jwksUrl": self.jwks_url,
            "discovery": self.discovery,
        }
        given = [name for name, value in public.items() if value is not None]
        symmetric = self.algorithm.startswith("HS")
        if symmetric and (self.secret_file is None or given):
            other = given[0] if given else "publicKeyFile"
            raise ValueError(f"algorithm {self.algorithm} takes secretFile and no {other}")
        if not symmetric and (self.secret_file is not None or len(given) != 1):
            raise ValueError(
                f"algorithm {self.algorithm} takes one of {', '.join(public)} and no secretFile"
            )
        if self.development and not symmetric and not self.fetches_keys:
            raise ValueError("a development issuer signs with a secret: use HS256 and secretFile")
        if self.fetch != KeyFetching() and not self.fetches_keys:
            raise ValueError("fetch goes with jwksUrl or discovery")
        return self

    @model_validator(mode="after")
    def _addresses(self) -> Self:
        if self.jwks_url is not None:
            try:
                check_address(self.jwks_url, development=self.development)
            except ValueError as failure:
                raise ValueError(f"jwksUrl {failure}") from None
        if self.discovery is not None:
            try:
                check_address(self.issuer, development=self.development)
            except ValueError as failure:
                raise ValueError(f"issuer, by which keys are discovered, {failure}") from None
            if "?" in self.issuer:
                raise ValueError("issuer, by which keys are discovered, has a query")
        return self

    @model_validator(mode="after")
    def _claims_apart(self) -> Self:
        named = {self.tenant_claim, self.scope_claim}
        if len(named) == 1 or named & _REGISTERED or (self.development and "sub" in named):
            raise ValueError(
                "tenantClaim and scopeClaim are two claims with a meaning of their own"
            )
        return self
