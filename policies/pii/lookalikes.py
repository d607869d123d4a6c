"""What only looks like an identifier: the token around a finding, and the label before it."""

import re

_TOKEN = rb"[0-9A-Za-z._:/+@#=&?%~-]"
_LEFT = re.compile(_TOKEN + rb"+\Z")
_RIGHT = re.compile(_TOKEN + rb"+")

_ENDS = (b"", b" ", b"\n", b'"', b"(", b",")

# Whole tokens: no identifier is part of one.
_TOKENS = re.compile(
    rb"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"  # UUID, RFC 9562
    rb"|(?:sha[0-9]{1,3}[:-])?(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64,})"
    rb"|(?:[0-9a-f]{2}:){6,}[0-9a-f]{2}"  # a key's fingerprint
    rb"|[-+]?[0-9]+\.[0-9]+(?:e[-+]?[0-9]+)?"
    rb"|[0-9]{4}-[0-9]{2}-[0-9]{2}[t_].*"  # ISO 8601
    rb"|97[89](?:-?[0-9]){10}",  # ISBN-13
    re.IGNORECASE,
)
# An account number of ISO 13616 up to a blank, whatever its check digits.
_ACCOUNT = re.compile(rb"(?:\A|[^0-9A-Za-z])[A-Z]{2}[0-9]{2}(?: [0-9A-Za-z]{1,4}){0,8} \Z")
# A label stands within this many bytes.
_LABEL = 32
_UNSAID = bytes(code if chr(code).isalnum() and code < 128 else 0x20 for code in range(256))
# Words before a number that say what it is; those of everyday's prose only with a sign, or with
# one of the words that say "number".
_LABELS = frozenset(
    (
        *(b"order", b"invoice", b"isbn", b"isbn10", b"isbn13", b"issn", b"ean", b"upc", b"gtin"),
        *(b"sku", b"asin", b"doi", b"ticket", b"tracking", b"shipment", b"parcel", b"version"),
        *(b"ver", b"revision", b"timestamp", b"epoch", b"md5", b"sha1", b"sha256", b"uuid"),
        *(b"guid", b"barcode", b"waybill", b"section", b"chapter", b"figure", b"shape"),
        b"firmware",
    )
)
_PROSE = frozenset(
    (
        *(b"commit", b"build", b"release", b"model", b"part", b"serial", b"batch", b"lot", b"item"),
        *(b"product", b"article", b"unix", b"ts", b"seq", b"row", b"sequence", b"offset"),
        *(b"checksum", b"hash", b"trace", b"span", b"job", b"run", b"transaction", b"txn"),
        *(b"receipt", b"booking", b"case", b"po", b"reference", b"ref", b"seed", b"price"),
        *(b"total", b"amount", b"purchase"),
    )
)
_NUMBER = frozenset((b"no", b"nr", b"num", b"number", b"id", b"code", b"key", b"time"))
_INITIALS = ([b"p", b"n"], [b"s", b"n"])
_FILLING = frozenset((b"is", b"was"))


def labelled(before: bytes) -> bool:
    """Whether the words right before a finding (folded) say that it is a thing's number."""
    tail = before[-_LABEL:].lower()
    words = tail.translate(_UNSAID).split()
    if words and words[-1] in _FILLING:
        words.pop()
    if not words:
        return False
    signs = tail[tail.rfind(words[-1]) + len(words[-1]) :]
    if any(sign in signs for sign in b",;\n"):
        return False
    if words[-2:] in _INITIALS:
        return True
    if words[-1] in _NUMBER:
        return len(words) > 1 and (words[-2] in _LABELS or words[-2] in _PROSE)
    if words[-1] in _LABELS:
        return True
    return words[-1] in _PROSE and any(sign in signs for sign in b"#:=")


def part_of_token(before: bytes, found: bytes, behind: bytes) -> bool:
    """Whether a finding, with the text beside it (folded), is a UUID, a digest, a float or such."""
    head = _first(_LEFT.search(before)) if before[-1:] not in _ENDS else b""
    tail = _first(_RIGHT.match(behind))
    if not head and not tail:
        return False
    return _TOKENS.fullmatch((head + found + tail).rstrip(b".:?")) is not None


def part_of_account(before: bytes, found: bytes) -> bool:
    """Whether a finding with blanks continues what looks like an IBAN, and so is a wrong one."""
    return b" " in found and _ACCOUNT.search(before) is not None


def _first(match: re.Match[bytes] | None) -> bytes:
    return b"" if match is None else match[0]
