"""An issuer's metadata, which names the address of its keys.

OpenID Connect Discovery 1.0 and RFC 8414 differ in where the document lies.
"""

from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from policies.json_object import json_object
from policies.key_address import check_address
from policies.refusal import Rejected

Discovery = Literal["oidc", "oauth2"]


def document_address(issuer: str, kind: Discovery) -> str:
    """OIDC appends its path to the issuer's; RFC 8414, 3.1 puts it between host and path."""
    if kind == "oidc":
        return issuer.rstrip("/") + "/.well-known/openid-configuration"
    parts = urlsplit(issuer)
    path = "/.well-known/oauth-authorization-server" + parts.path.rstrip("/")
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def keys_address(document: bytes, issuer: str, *, development: bool) -> str:
    """The document's `jwks_uri`.

    Raises Rejected, or what parsing raises, unless the document is this very issuer's and its keys
    may be fetched from there.
    """
    members = json_object(document)
    if members.get("issuer") != issuer:
        # Both specifications insist: else one tenant of a host could speak for another.
        raise Rejected("its issuer is another one")
    address = members.get("jwks_uri")
    if not isinstance(address, str):
        raise Rejected("it has no jwks_uri")
    try:
        return check_address(address, development=development)
    except ValueError as failure:
        raise Rejected(f"its jwks_uri {failure}") from failure
