"""Callers who are known by the certificate that they connected with.

TLS has verified it against the listener's `clientCa` before anything here is asked. Only subject
alternative names count, never the subject's common name (RFC 9525, 2).
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from pydantic import Field, field_validator

from policies.authorize import check_scope
from policies.claims import is_name
from policies.refusal import Rejected
from protos.errors import PenstockError
from protos.principal import Principal
from protos.settings import Settings

ISSUER = "certificate"
MAX_NAMES = 64  # of one certificate; one with more is nobody's
_KINDS = ("URI", "DNS", "email")
# What a star doesn't reach over: a part of a path, a label, a mailbox.
_SEPARATORS = {"URI": "/?#", "DNS": ".", "email": "@"}


class CertificateIdentity(Settings):
    """Who bears a certificate with this alternative name: `URI:spiffe://…`, `DNS:…`, `email:…`.

    A `*` stands for one part of it: a segment of a path, a label of a host's name. The subject is
    the whole name.
    """

    san: str = Field(min_length=1, examples=["URI:spiffe://prod.example/ns/fraud/sa/*"])
    tenant: str
    scopes: tuple[str, ...]

    @field_validator("san")
    @classmethod
    def _kind_and_name(cls, san: str) -> str:
        kind, _, name = san.partition(":")
        if kind not in _KINDS or not name:
            raise ValueError(f"begins with one of {', '.join(each + ':' for each in _KINDS)}")
        if not is_name(san):
            raise ValueError("must be 1 to 256 printable characters")
        if set(name) <= {"*", *_SEPARATORS[kind]}:
            raise ValueError("names nobody in particular")
        return san

    @field_validator("tenant")
    @classmethod
    def _named(cls, tenant: str) -> str:
        if not is_name(tenant):
            raise ValueError("must be 1 to 256 printable characters")
        return tenant

    @field_validator("scopes")
    @classmethod
    def _known(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        for scope in scopes:
            try:
                check_scope(scope)
            except PenstockError as failure:
                raise ValueError(failure.message.removeprefix("scope: ")) from None
        return scopes


class Certificates:
    """Finds the principal of a certificate; of several settings that fit, the first counts."""

    def __init__(self, identities: Sequence[CertificateIdentity]) -> None:
        self._identities = [(_pattern(each.san), each) for each in identities]
        self._found = lru_cache(maxsize=1024)(self._find)

    def principal(self, names: Sequence[str]) -> Principal:
        """Of a certificate with these alternative names, such as `DNS:a.example`.

        Raises Rejected for a certificate that is nobody's.
        """
        found = self._found(tuple(names)) if len(names) <= MAX_NAMES else None
        if found is None:
            raise Rejected("the certificate's names are nobody's")
        return found

    def _find(self, names: tuple[str, ...]) -> Principal | None:
        for pattern, identity in self._identities:
            for name in names:
                if pattern.fullmatch(name) and is_name(name):
                    subject = f"DNS:{name[4:].lower()}" if name.startswith("DNS:") else name
                    return Principal(subject, identity.tenant, frozenset(identity.scopes), ISSUER)
        return None


def _pattern(san: str) -> re.Pattern[str]:
    kind = san.partition(":")[0]
    part = f"[^{re.escape(_SEPARATORS[kind])}]+"
    pattern = part.join(map(re.escape, san.partition(":")[2].split("*")))
    # Hosts have no case; a URI and a mailbox do.
    return re.compile(f"{kind}:(?i:{pattern})" if kind == "DNS" else f"{kind}:{pattern}", re.ASCII)
