"""What a token's header and claims must be like, whatever its signature is worth (RFC 8725).

PyJWT checks signatures. These are checked here, because the time is the caller's, and because
PyJWT lets pass what has to be refused: `exp` as a string or 10^30, duplicate members, lists of
audiences. Everything raises Rejected, or what parsing raises.
"""

from typing import Any

import jwt

from policies.issuers import Issuer
from policies.json_object import Json, json_object
from policies.refusal import Rejected

MAX_NAME = 256  # characters of a subject or tenant: they become keys of limiters and caches
# Headers by which a token would bring its own key, have one fetched, change what is signed, or hold
# another token.
_FORBIDDEN_HEADERS = ("jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc", "cty")
_TYPES = ("jwt", "at+jwt", "application/jwt", "application/at+jwt")


def split(token: bytes) -> tuple[Json, Json]:
    """Header and claims of a signed token in its compact form, both unverified."""
    segments = token.split(b".")
    if len(segments) != 3:
        raise Rejected("the token does not have three segments")
    header, claims, _ = map(_decoded, segments)
    return json_object(header), json_object(claims)


def _decoded(segment: bytes) -> bytes:
    """Base64url as RFC 7515, 2 has it: without padding, and in one spelling only."""
    value = jwt.utils.base64url_decode(segment)
    if jwt.utils.base64url_encode(value) != segment:
        raise Rejected("a segment is not base64url in its one form")
    return value


def check_header(header: Json, issuer: Issuer) -> str | None:
    """The id of the key that is said to have signed, if one is named."""
    if header.get("alg") != issuer.algorithm:
        raise Rejected(f"the algorithm is not {issuer.algorithm}")
    for member in _FORBIDDEN_HEADERS:
        if member in header:
            raise Rejected(f"the header {member} is not supported")
    # RFC 8725, 3.11: a token made for another purpose (logout, DPoP) is no access token.
    if "typ" in header and text(header, "typ").lower() not in _TYPES:
        raise Rejected("the token is of another type")
    return name(header, "kid") if "kid" in header else None


def check_times(claims: Json, issuer: Issuer, now: float) -> float:
    """When the token expires, in wall time; it is valid now, and not for too long."""
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


def check_audience(claims: Json, issuer: Issuer) -> None:
    if claims.get("aud") != issuer.audience:
        raise Rejected("the audience is not this gateway alone")


def scopes_of(claims: Json, issuer: Issuer) -> frozenset[str]:
    """RFC 8693's space-separated string, or the list that some issuers send; none if absent."""
    value = claims.get(issuer.scope_claim)
    if value is None:
        return frozenset()
    scopes = value.split(" ") if isinstance(value, str) else value
    if not isinstance(scopes, list) or not all(isinstance(each, str) for each in scopes):
        raise Rejected("the scope is neither a text nor a list of texts")
    return frozenset(scope for scope in scopes if scope)


def text(members: Json, member: str) -> str:
    value = members.get(member)
    if not isinstance(value, str) or not value:
        raise Rejected(f"{member} is not a text")
    return value


def name(members: Json, member: str) -> str:
    value = text(members, member)
    if not is_name(value):
        raise Rejected(f"{member} is not a name")
    return value


def is_name(value: str) -> bool:
    """Whether a subject or tenant may be called this.

    Control characters and lone surrogates are not printable: no log and no key can bear them.
    """
    return 0 < len(value) <= MAX_NAME and value.isprintable() and not value.isspace()


def _time(claims: Json, claim: str) -> float:
    value: Any = claims.get(claim)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**48:
        raise Rejected(f"{claim} is not a time")
    return float(value)
