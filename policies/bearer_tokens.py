"""Verifies JSON Web Tokens (RFC 7519, with the practices of RFC 8725) into principals."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import jwt

from policies.claims import (
    check_audience,
    check_header,
    check_times,
    name,
    scopes_of,
    split,
    text,
)
from policies.issuers import Issuer
from policies.refusal import Rejected, refusal
from policies.revocation import TokenId
from protos.errors import invalid
from protos.principal import Principal

MAX_TOKEN_BYTES = 8192


class Keys(Protocol):
    """An issuer's verification keys, wherever they come from."""

    def find(self, kid: str | None) -> Any:
        """The key of that id, or None."""

    def holds(self, key: Any) -> bool:
        """Whether the key still counts."""

    def seek(self, kid: str | None) -> asyncio.Event | None:
        """Asks for a key that wasn't found: set when there may be news; None: there won't be."""


class KeyMissing(Rejected):
    """The token's key isn't known; `news` is set when it might be."""

    def __init__(self, issuer: str, news: asyncio.Event | None) -> None:
        super().__init__(f'issuer "{issuer}" has no such key as far as is known')
        self.news = news


@dataclass(frozen=True, slots=True)
class _Known:
    """An issuer with its keys; the verifier knows no algorithm but the issuer's."""

    issuer: Issuer
    keys: Keys
    verifier: jwt.PyJWS


@dataclass(frozen=True, slots=True)
class _Verified:
    principal: Principal
    expires: float  # wall time in seconds
    known: _Known
    key: Any
    id: TokenId | None


class BearerTokens:
    """The tokens of some issuers.

    Verified ones are remembered until they expire, by their digest: the gateway keeps no token in
    memory, and an entry is never larger than a token may be. `revoked` gives the tokens that are
    withdrawn, and None while that isn't known, when every token is refused. Raises INVALID when two
    issuers claim the same name.
    """

    def __init__(
        self,
        issuers: Iterable[tuple[Issuer, Keys]],
        revoked: Callable[[], Set[TokenId] | None],
        *,
        remembered: int = 10_000,
    ) -> None:
        self._revoked = revoked
        self._remembered = remembered
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()
        self._issuers: dict[str, _Known] = {}
        for issuer, keys in issuers:
            if issuer.issuer in self._issuers:
                raise invalid(f'two issuers are called "{issuer.issuer}": each has one key')
            verifier = jwt.PyJWS([issuer.algorithm], {"enforce_minimum_key_length": True})
            self._issuers[issuer.issuer] = _Known(issuer, keys, verifier)

    def verify(self, token: bytes, now: float) -> Principal:
        """The token's principal at wall time `now`; raises UNAUTHENTICATED."""
        if len(token) > MAX_TOKEN_BYTES:
            raise refusal(Rejected(f"the token is longer than {MAX_TOKEN_BYTES} bytes"))
        digest = hashlib.sha256(token).digest()
        verified = self._verified.get(digest)
        if verified is not None and now < verified.expires:
            self._verified.move_to_end(digest)
            return verified.principal
        try:
            verified = self._examine(token, now)
        except Exception as failure:
            # Everything: a lone surrogate or a deep nesting raises outside any library's hierarchy.
            raise refusal(failure) from failure
        self._verified[digest] = verified
        self._verified.move_to_end(digest)
        if len(self._verified) > self._remembered:
            self._verified.popitem(last=False)
        return verified.principal

    def review(self) -> None:
        """Forgets the tokens whose key doesn't count any more and those that were withdrawn.

        For whenever keys or withdrawals changed; nothing of it is looked at while a token is
        remembered.
        """
        revoked = self._revoked()
        for digest, verified in tuple(self._verified.items()):
            withdrawn = revoked is None or verified.id in revoked
            if withdrawn or not verified.known.keys.holds(verified.key):
                del self._verified[digest]

    def _examine(self, token: bytes, now: float) -> _Verified:
        header, claims = split(token)
        # Read before it is verified, only to learn which issuer's key it has to be verified with.
        known = self._issuers.get(text(claims, "iss"))
        if known is None:
            raise Rejected("the issuer is unknown")
        issuer = known.issuer
        kid = check_header(header, issuer)
        # What is cheap comes first: nobody has keys fetched with a token that is no good anyway.
        expires = check_times(claims, issuer, now)
        check_audience(claims, issuer)
        principal = Principal(
            name(claims, "sub"),
            name(claims, issuer.tenant_claim),
            scopes_of(claims, issuer),
            issuer.name,
            MappingProxyType(claims),
        )
        withdrawn, token_id = self._revoked(), None
        if withdrawn is None:
            raise Rejected("it isn't known which tokens are withdrawn")
        if "jti" in claims:
            token_id = (issuer.name, name(claims, "jti"))
            if token_id in withdrawn:
                raise Rejected("the token is withdrawn")
        key = known.keys.find(kid)
        if key is None:
            raise KeyMissing(issuer.name, known.keys.seek(kid))
        known.verifier.decode_complete(token, key, [issuer.algorithm])
        return _Verified(principal, expires, known, key, token_id)
