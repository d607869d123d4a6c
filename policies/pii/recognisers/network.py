"""Addresses of machines, and URLs that carry credentials."""

import re
from ipaddress import IPv4Address, IPv6Address

from policies.pii.recogniser import WORD, Recogniser, left, right

_CONTEXT = rb"ip|ipv4|ipv6|address|host|server|client"
_HEX = rb"[0-9A-Fa-f]"
# RFC 4291: a colon may be a label's, but not that of another part of an address.
_LEFT6 = rb"(?:\\[nrt]|^|[^" + WORD + rb":.]|(?:^|[^0-9A-Fa-f:.]):)"
_ZONE = rb"(?:%[0-9A-Za-z]{1,16})?"  # RFC 4007
_PREFIX = rb"(?:/[0-9]{1,3})?"  # RFC 4632
_TAIL = re.compile(r"(?:%[0-9A-Za-z]+)?(?:/([0-9]+))?\Z")


def address(text: str) -> str:
    """What stands before a zone and a prefix's length."""
    return text[: _tail(text).start()]


def with_prefix(text: str) -> int:
    """How many characters are an address, with its zone, and with a prefix's length that it has."""
    tail = _tail(text)
    longest = 128 if ":" in text else 32
    return len(text) if tail[1] is None or int(tail[1]) <= longest else tail.start(1) - 1


def _tail(text: str) -> re.Match[str]:
    tail = _TAIL.search(text)
    if tail is None:  # it matches the empty end as well
        raise ValueError("no end of a text")
    return tail


def is_ipv4(text: str) -> bool:
    """Four octets without leading zeros."""
    try:
        IPv4Address(address(text))
    except ValueError:
        return False
    return True


def is_no_version(text: str) -> bool:
    """`1.2.3.4` is rather a version; small numbers are an address where they are of a network."""
    if not is_ipv4(text):
        return False
    plain = address(text)
    if plain.startswith("255."):
        return plain == "255.255.255.255"  # others are masks
    known = plain == "0.0.0.0" or plain.startswith("10.") or "/" in text
    return known or max(map(int, plain.split("."))) > 20


def is_ipv6(text: str) -> bool:
    """RFC 4291; `a::b` is more often a name in a program than an address."""
    plain = address(text)
    try:
        found = IPv6Address(plain)
    except ValueError:
        return False
    if found.is_unspecified:
        return False
    if "::" not in plain or "." in plain or "/" in text:
        return True
    return (
        len(plain.split(":")[0]) >= 3 or plain.lower().startswith("::ffff:") or plain.count(":") > 3
    )


def is_mac(text: str) -> bool:
    """EUI-48; neither nobody's nor everybody's."""
    return len({letter for letter in text.lower() if letter.isalnum()}) > 1


RECOGNISERS = (
    Recogniser(
        "IP_ADDRESS",
        rb"[0-9]{1,3}(?:\.[0-9]{1,3}){3}" + _PREFIX,
        0.7,
        context=_CONTEXT,
        check=is_no_version,
        trim=with_prefix,
        canonical=str.lower,
    ),
    Recogniser(
        "IP_ADDRESS",
        rb"[0-9]{1,2}(?:\.[0-9]{1,2}){3}",
        0.3,
        context=_CONTEXT,
        check=is_ipv4,
        canonical=str.lower,
    ),
    Recogniser(
        "IP_ADDRESS",
        rb"(?:" + _HEX + rb"{1,4}(?::" + _HEX + rb"{0,4}){2,7}"
        rb"|::" + _HEX + rb"{1,4}(?::" + _HEX + rb"{1,4}){0,6}"
        rb"|::)(?:(?:[0-9]{1,3})?(?:\.[0-9]{1,3}){3})?" + _ZONE + _PREFIX,
        0.71,
        context=_CONTEXT,
        check=is_ipv6,
        trim=with_prefix,
        canonical=str.lower,
        left=_LEFT6,
        right=right(rb":."),
    ),
    # No machine at all, for those who want to see that as well.
    Recogniser(
        "IP_ADDRESS",
        rb"::" + _PREFIX,
        0.1,
        0.4,
        context=_CONTEXT,
        canonical=str.lower,
        left=rb"(?:\\[nrt]|^|[^" + WORD + rb":.\[\]()])",
        right=right(rb":."),
    ),
    # The machine itself; behind a bracket it is a slice of a program.
    Recogniser(
        "IP_ADDRESS",
        rb"::1" + _PREFIX,
        0.6,
        context=_CONTEXT,
        trim=with_prefix,
        canonical=str.lower,
        left=rb"(?:\\[nrt]|^|[^" + WORD + rb":.\[\]()])",
        right=right(rb":."),
    ),
    Recogniser(
        "MAC_ADDRESS",
        rb"(?:" + _HEX + rb"{2}:){5}" + _HEX + rb"{2}|(?:" + _HEX + rb"{2}-){5}" + _HEX + rb"{2}"
        rb"|(?:" + _HEX + rb"{4}\.){2}" + _HEX + rb"{4}",
        0.8,
        check=is_mac,
        left=left(rb":.\-"),
        right=right(rb":.\-"),
    ),
    Recogniser(
        "URL_WITH_CREDENTIALS",
        rb"[A-Za-z][0-9A-Za-z+.-]*://[^\s/?#@:\"<>{}|`\x83]*:[^\s/@\"<>{}|`\x83]+@"
        rb"[0-9A-Za-z\[\x82](?:[^\s\"<>{}|`\x83]*[0-9A-Za-z/\]\x82])?",
        0.97,
        0.99,
        canonical=str,
        right=b"",
        longest=2048,
        confusable=False,
    ),
)
