"""What only looks like an identifier: the token around a finding, and the label before it."""

import re

_TOKEN = rb"[0-9A-Za-z._:/+@#=&?%~-]"
_LEFT = re.compile(_TOKEN + rb"+\Z")
_RIGHT = re.compile(_TOKEN + rb"+")

_ENDS = (b"", b" ", b"\n", b'"', b"(", b",")

# Whole tokens: no identifier is part of one.
_TOKENS = re.compile(
    rb"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"  # UUID, RFC 9562
    rb"|(?:0x|sha[0-9]{1,3}[:-])?(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64,})"
    rb"|(?:[0-9a-f]{2}:){6,}[0-9a-f]{2}"  # a key's fingerprint
    rb"|[-+]?[0-9]+\.[0-9]+(?:e[-+]?[0-9]+)?"
    rb"|[0-9]{4}-[0-9]{2}-[0-9]{2}[t_].*"  # ISO 8601
    rb"|97[89]-?[0-9]{1,5}-?[0-9]{1,7}-?[0-9]{1,7}-?[0-9]",  # ISBN-13
    re.IGNORECASE,
)
# A label is long enough at this many bytes, and a word with less before it has begun further left.
_LABEL = 32
_NUMBER = rb"(?:[ _-]?(?:no|nr|num|number|id|code|key))?\.?"
_SIGN = rb"[\"']?(?: is| was)? ?[:=#]?[ ]?[\"'#$]?"
_LABELS = re.compile(
    rb"(?:\b|_)(?:"
    rb"(?:order|invoice|isbn(?:-?1[03])?|issn|ean|upc|gtin|sku|asin|doi|ticket|tracking|shipment"
    rb"|parcel|version|ver|revision|timestamp|epoch|md5|sha[0-9]*|uuid|guid)" + _NUMBER + _SIGN +
    # Words of everyday's prose must say more.
    rb"|(?:commit|build|release|model|part|serial|batch|lot|item|product|article|unix|ts|seq|row"
    rb"|sequence|offset|checksum|hash|trace|span|job|run|transaction|txn|receipt|booking|case|po"
    rb"|purchase order|reference|ref|seed|price|total|amount)"
    rb"(?:[ _-]?(?:no|nr|num|number|id|code|key|time)\.?" + _SIGN + rb"|[\"']? ?[:=#] ?[\"'#$]?)"
    rb")\Z",
    re.IGNORECASE,
)


def labelled(before: bytes) -> bool:
    """Whether the words right before a finding (folded) say that it is a thing's number."""
    return _LABELS.search(before[-_LABEL:]) is not None


def part_of_token(before: bytes, found: bytes, behind: bytes) -> bool:
    """Whether a finding, with the text beside it (folded), is a UUID, a digest, a float or such."""
    head = _first(_LEFT.search(before)) if before[-1:] not in _ENDS else b""
    tail = _first(_RIGHT.match(behind))
    if not head and not tail:
        return False
    return _TOKENS.fullmatch((head + found + tail).rstrip(b".:?")) is not None


def _first(match: re.Match[bytes] | None) -> bytes:
    return b"" if match is None else match[0]
