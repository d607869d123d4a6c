"""Where keys may be fetched from."""

import ipaddress
from urllib.parse import urlsplit


def check_address(url: str, *, development: bool) -> str:
    """The URL, which is HTTPS; in development also plain HTTP on this machine's loopback.

    Raises ValueError saying what is wrong.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if not url.isascii() or not url.isprintable() or " " in url or not parts.hostname or port == 0:
        raise ValueError("is not a URL")
    if parts.username is not None or parts.fragment:
        raise ValueError("has a user or a fragment")
    if parts.scheme == "https":
        return url
    if parts.scheme == "http" and development and _is_loopback(parts.hostname):
        return url
    raise ValueError("begins with https:// (with `development: true` also http:// on loopback)")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
