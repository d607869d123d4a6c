"""Addresses of machines, and URLs that carry credentials."""

from ipaddress import IPv4Address, IPv6Address

from policies.pii.recogniser import Recogniser, left, right

_CONTEXT = rb"ip|ipv4|ipv6|address|host|server|client"
_HEX = rb"[0-9A-Fa-f]"


def is_ipv4(text: str) -> bool:
    """Four octets without leading zeros; not this machine, any machine or a mask."""
    try:
        address = IPv4Address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or text.startswith("255."))


def is_no_version(text: str) -> bool:
    """`1.2.3.4` is rather a version; small numbers are an address if they are a private one."""
    return is_ipv4(text) and (text.startswith("10.") or max(map(int, text.split("."))) > 20)


def is_ipv6(text: str) -> bool:
    """RFC 4291; `a::b` is more often a name in a program than an address."""
    try:
        address = IPv6Address(text)
    except ValueError:
        return False
    if address.is_loopback or address.is_unspecified:
        return False
    if "::" not in text:
        return True
    return len(text.split(":")[0]) >= 3 or text.lower().startswith("::ffff:") or text.count(":") > 3


def is_mac(text: str) -> bool:
    """EUI-48; neither nobody's nor everybody's."""
    return len({letter for letter in text.lower() if letter.isalnum()}) > 1


RECOGNISERS = (
    Recogniser(
        "IP_ADDRESS",
        rb"[0-9]{1,3}(?:\.[0-9]{1,3}){3}",
        0.7,
        context=_CONTEXT,
        check=is_no_version,
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
        _HEX + rb"{1,4}(?::" + _HEX + rb"{0,4}){2,7}(?:(?:\.[0-9]{1,3}){3})?"
        rb"|::" + _HEX + rb"{1,4}(?::" + _HEX + rb"{1,4}){0,6}(?:(?:\.[0-9]{1,3}){3})?",
        0.7,
        context=_CONTEXT,
        check=is_ipv6,
        canonical=str.lower,
        left=left(rb":."),
        right=right(rb":"),
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
