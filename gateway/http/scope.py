"""The ASGI scope of a request, and who the client is by its certificate."""

import asyncio
import re
import urllib.parse
from collections.abc import MutableMapping
from typing import Any

import httptools

from protos.errors import invalid

Scope = MutableMapping[str, Any]

# Where a scope has the exception that was logged and answered, which Starlette raises on.
ANSWERED = "penstock.answered"

_NOT_ENCODED = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROLS = re.compile("[\x00-\x1f\x7f]")


def peer_of(scope: Scope) -> str:
    """The client's address, without its port."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def target(url: bytes) -> tuple[bytes, bytes, bytes]:
    """Path, query and authority of a request's target (RFC 9112, 3.2).

    The authority is empty but in the absolute form. Raises INVALID for what is neither that nor the
    origin or asterisk form, and for a fragment, which belongs to the client.
    """
    if b"#" in url:
        raise invalid("the target of a request has no fragment")
    if url.startswith(b"/") or url == b"*":
        path, _, query = url.partition(b"?")
        return path, query, b""
    try:
        parsed = httptools.parse_url(url)
    except httptools.HttpParserInvalidURLError:
        raise invalid("the target is neither a path nor a URL") from None
    if parsed.schema.lower() not in (b"http", b"https"):
        raise invalid("the target's scheme is neither http nor https")
    if parsed.userinfo is not None:
        # RFC 9110, 4.2.4: an error, as it only serves to pass a host off as another.
        raise invalid("the target names a user")
    authority = url.split(b"/", 3)[2].partition(b"?")[0]
    return parsed.path or b"/", parsed.query or b"", authority


def decoded(raw_path: bytes) -> str:
    """The path without percent-encoding (RFC 3986, 2.1), in which each name has one spelling.

    Raises INVALID for what isn't that of UTF-8, and for control characters.
    """
    if _NOT_ENCODED.search(raw_path):
        raise invalid("the path has a % that two hexadecimal digits don't follow")
    try:
        path = urllib.parse.unquote_to_bytes(raw_path).decode()
    except UnicodeDecodeError:
        raise invalid("the path's percent-encoding isn't that of UTF-8") from None
    if _CONTROLS.search(path):
        raise invalid("the path has control characters")
    return path


def http_scope(
    *,
    version: str,
    method: bytes,
    url: bytes,
    headers: list[tuple[bytes, bytes]],
    connection: Scope,
) -> Scope:
    """The request's part of the scope over the connection's (scheme, client, server)."""
    raw_path, query, authority = target(url)
    if authority:
        # RFC 9112, 3.2.2: whoever read the target first has not looked at Host.
        headers = [field for field in headers if field[0] != b"host"]
        headers.append((b"host", authority))
    return {
        **connection,
        "http_version": version,
        "method": method.decode("ascii"),
        "path": decoded(raw_path) if b"%" in raw_path else raw_path.decode("ascii"),
        "raw_path": raw_path,
        "query_string": query,
        "headers": headers,
    }


def tls_extension(transport: asyncio.BaseTransport) -> dict[str, Any]:
    """ASGI's TLS extension: the verified client certificate's subject and alternative names."""
    certificate = transport.get_extra_info("peercert") or {}
    subject = [pair for pairs in certificate.get("subject", ()) for pair in pairs]
    names = ",".join(f"{_SHORT.get(name, name)}={value}" for name, value in subject)
    return {
        "client_cert_name": names or None,
        "client_cert_alternative_names": tuple(
            f"{kind}:{value}" for kind, value in certificate.get("subjectAltName", ())
        ),
    }


def alternative_names(scope: Scope) -> tuple[str, ...]:
    """The client certificate's names (`DNS:…`, `URI:…`); none without TLS or certificate."""
    extensions = scope.get("extensions")
    if not extensions:
        return ()
    names: tuple[str, ...] = extensions.get("tls", {}).get("client_cert_alternative_names", ())
    return names


# RFC 4514's short forms of OpenSSL's names.
_SHORT = {
    "commonName": "CN",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "localityName": "L",
    "stateOrProvinceName": "ST",
}
