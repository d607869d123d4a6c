"""Who asks: verifies bearer tokens (RFC 7519, with the practices of RFC 8725) into a Principal.

PyJWT checks the signature. The claims are checked here, because the time is the caller's, and
because PyJWT lets pass what has to be refused: `exp` as a string or 10^30, duplicate members, lists
of audiences. Whatever is wrong, the client reads the same sentence; the reason is the cause of the
error, for logs that only operators read.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import jwt

from policies.issuers import Issuer, load_key
from protos.errors import Kind, PenstockError, invalid
from protos.values import Principal

MAX_TOKEN_BYTES = 8192
MAX_NAME = 256  # characters of a subject or tenant: they become keys of limiters and caches
# Headers by which a token would bring its own key, have one fetched, or change what is signed.
_FORBIDDEN_HEADERS = ("jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc")
_TYPES = ("jwt", "at+jwt", "application/jwt", "application/at+jwt")

Json = dict[str, Any]


class Rejected(Exception):
    """Why a token is not accepted; for operators, never for the client."""


@dataclass(frozen=True, slots=True)
class _Verified:
    principal: Principal
    expires: float  # wall time in seconds


@dataclass(frozen=True, slots=True)
class _Known:
    """An issuer with its key; the verifier knows no algorithm but the issuer's."""

    issuer: Issuer
    key: Any
    verifier: jwt.PyJWS


class Authenticator:
    """Turns the value of an Authorization header into a Principal.

    Verified tokens are remembered until they expire, by their digest: the gateway keeps no token in
    memory, and an entry is never larger than a token may be. `clock` is wall time in seconds, in which
    tokens are dated. Raises INVALID when two issuers claim the same name or a key is unusable.
    """

    def __init__(
        self, issuers: Iterable[Issuer], clock: Callable[[], float], *, remembered: int = 10_000
    ) -> None:
        self._clock = clock
        self._remembered = remembered
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()
        self._issuers: dict[str, _Known] = {}
        for issuer in issuers:
            if issuer.issuer in self._issuers:
                raise invalid(f'two issuers are called "{issuer.issuer}": each has one key')
            verifier = jwt.PyJWS([issuer.algorithm], {"enforce_minimum_key_length": True})
            self._issuers[issuer.issuer] = _Known(issuer, load_key(issuer), verifier)

    def __call__(self, authorization: str | bytes) -> Principal:
        """Raises UNAUTHENTICATED for anything but one valid bearer token."""
        return self.verify(bearer(authorization), self._clock())

    def verify(self, token: bytes, now: float) -> Principal:
        """The token's principal at wall time `now`; raises UNAUTHENTICATED."""
        if len(token) > MAX_TOKEN_BYTES:
            raise _refusal(Rejected(f"the token is longer than {MAX_TOKEN_BYTES} bytes"))
        digest = hashlib.sha256(token).digest()
        verified = self._verified.get(digest)
        if verified is not None and now < verified.expires:
            self._verified.move_to_end(digest)
            return verified.principal
        try:
            verified = self._examine(token, now)
        except Exception as failure:
            # Everything: a lone surrogate or a deep nesting raises outside any library's hierarchy.
            raise _refusal(failure) from failure
        self._verified[digest] = verified
        self._verified.move_to_end(digest)
        if len(self._verified) > self._remembered:
            self._verified.popitem(last=False)
        return verified.principal

    def _examine(self, token: bytes, now: float) -> _Verified:
        segments = token.split(b".")
        if len(segments) != 3:
            raise Rejected("the token does not have three segments")
        header, claims = _json(segments[0]), _json(segments[1])
        # Read before it is verified, only to learn which issuer's key it has to be verified with.
        known = self._issuers.get(_text(claims, "iss"))
        if known is None:
            raise Rejected("the issuer is unknown")
        issuer = known.issuer
        _check_header(header, issuer)
        known.verifier.decode_complete(token, known.key, [issuer.algorithm])
        expires = _check_times(claims, issuer, now)
        if claims.get("aud") != issuer.audience:
            raise Rejected("the audience is not this gateway alone")
        principal = Principal(
            _name(claims, "sub"),
            _name(claims, issuer.tenant_claim),
            _scopes(claims.get(issuer.scope_claim)),
            issuer.name,
            MappingProxyType(claims),
        )
        return _Verified(principal, expires)


def authorization(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The one Authorization header among an ASGI scope's; raises UNAUTHENTICATED for none or two.

    A front proxy and we might not agree on which of two counts.
    """
    values = [value for name, value in headers if name == b"authorization"]
    if len(values) != 1:
        raise _refusal(Rejected(f"there are {len(values)} Authorization headers"))
    return values[0]


def bearer(authorization: str | bytes) -> bytes:
    """The token in the value of an Authorization header; raises UNAUTHENTICATED."""
    try:
        value = authorization.encode("ascii") if isinstance(authorization, str) else authorization
    except UnicodeEncodeError as failure:
        raise _refusal(failure) from failure
    scheme, _, token = value.partition(b" ")
    token = token.strip(b" ")
    if scheme.lower() != b"bearer" or not token:
        raise _refusal(Rejected("there is no bearer token"))
    return token


def _refusal(cause: Exception) -> PenstockError:
    refused = PenstockError(Kind.UNAUTHENTICATED, "a valid bearer token is required")
    refused.__cause__ = cause
    return refused


def _json(segment: bytes) -> Json:
    value = json.loads(
        jwt.utils.base64url_decode(segment),
        object_pairs_hook=_unique,
        parse_constant=_no_constant,
    )
    if not isinstance(value, dict):
        raise Rejected("a segment is not a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> Json:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Rejected("a member occurs twice")
    return members


def _no_constant(name: str) -> None:
    raise Rejected(f"{name} is not JSON")


def _check_header(header: Json, issuer: Issuer) -> None:
    if header.get("alg") != issuer.algorithm:
        raise Rejected(f"the algorithm is not {issuer.algorithm}")
    for name in _FORBIDDEN_HEADERS:
        if name in header:
            raise Rejected(f"the header {name} is not supported")
    # RFC 8725, 3.11: a token made for another purpose (logout, DPoP) is no access token.
    if "typ" in header and _text(header, "typ").lower() not in _TYPES:
        raise Rejected("the token is of another type")
    if "kid" in header:
        _name(header, "kid")


def _check_times(claims: Json, issuer: Issuer, now: float) -> float:
    """When the token expires; raises Rejected unless it is valid now and not for too long."""
    expires = _time(claims, "exp")
    if expires <= now - issuer.leeway:
        raise Rejected("the token has expired")
    begins = now
    for claim in ("nbf", "iat"):
        if claim in claims:
            begins = min(begins, _time(claims, claim))
            if _time(claims, claim) > now + issuer.leeway:
                raise Rejected(f"the token is not valid yet ({claim})")
    if expires - begins > issuer.max_lifetime + issuer.leeway:
        raise Rejected("the token lives longer than maxLifetime")
    return expires


def _time(claims: Json, claim: str) -> float:
    value = claims.get(claim)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**48:
        raise Rejected(f"{claim} is not a time")
    return float(value)


def _text(members: Json, name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not value:
        raise Rejected(f"{name} is not a text")
    return value


def _name(members: Json, name: str) -> str:
    value = _text(members, name)
    if not is_name(value):
        raise Rejected(f"{name} is not a name")
    return value


def is_name(value: str) -> bool:
    """Whether a subject or tenant may be called this.

    Control characters and lone surrogates are not printable: no log and no key can bear them.
    """
    return 0 < len(value) <= MAX_NAME and value.isprintable() and not value.isspace()


def _scopes(value: Any) -> frozenset[str]:
    """RFC 8693's space-separated string, or the list that some issuers send; none if absent."""
    if value is None:
        return frozenset()
    scopes = value.split(" ") if isinstance(value, str) else value
    if not isinstance(scopes, list) or not all(isinstance(each, str) for each in scopes):
        raise Rejected("the scope is neither a text nor a list of texts")
    return frozenset(scope for scope in scopes if scope)
