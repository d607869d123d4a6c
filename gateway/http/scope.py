"""The ASGI scope of a request, and who the client is by its certificate."""

import asyncio
import urllib.parse
from collections.abc import MutableMapping
from typing import Any

import httptools

from protos.errors import invalid

Scope = MutableMapping[str, Any]

# Where a scope has the exception that was logged and answered, which Starlette raises on.
ANSWERED = "penstock.answered"


def peer_of(scope: Scope) -> str:
    """The client's address, without its port."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def target(url: bytes) -> tuple[bytes, bytes]:
    """Path and query of a request's target in origin, absolute or asterisk form (RFC 9112, 3.2).

    Raises INVALID for a fragment, which belongs to the client.
    """
    if b"#" in url:
        raise invalid("the target of a request has no fragment")
    if url.startswith(b"/") or url == b"*":
        path, _, query = url.partition(b"?")
        return path, query
    parsed = httptools.parse_url(url)
    return parsed.path or b"/", parsed.query or b""


def http_scope(
    *,
    version: str,
    method: bytes,
    url: bytes,
    headers: list[tuple[bytes, bytes]],
    connection: Scope,
) -> Scope:
    """The request's part of the scope over the connection's (scheme, client, server)."""
    raw_path, query = target(url)
    path = raw_path.decode("ascii")
    if "%" in path:
        path = urllib.parse.unquote(path)
    return {
        **connection,
        "http_version": version,
        "method": method.decode("ascii"),
        "path": path,
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
