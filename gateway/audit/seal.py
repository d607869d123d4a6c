"""How a record is sealed: its line ends with a digest of the line before it and of itself.

So no line can be changed, taken out, put in or moved without breaking what follows. With a key the
digest is an HMAC (RFC 2104), which who holds the files but not the key can't make anew.
"""

import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

import orjson

from protos.errors import invalid

Record = Mapping[str, Any]

START = b"0" * 64  # stands for the line before the first
KEY_BYTES = (16, 1024)
_TAIL = re.compile(rb',"digest":"([0-9a-f]{64})"\}\n')
_TAIL_BYTES = len(b',"digest":""}\n') + 64


class Seal:
    """SHA-256, keyed if there is a key. `mark` tells a key from others and tells nothing else."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key
        self.name = "sha256" if key is None else "hmac-sha256"
        self.mark = "" if key is None else blake2b(key, digest_size=4, person=b"audit").hexdigest()

    def digest(self, before: bytes, body: bytes) -> bytes:
        """64 hex digits over the digest before and a record without its own."""
        if self._key is None:
            return sha256(before + body).hexdigest().encode()
        return hmac.digest(self._key, before + body, "sha256").hex().encode()

    def __repr__(self) -> str:
        return f"<Seal {self.name} {self.mark}>"


def read_seal(key_file: Path | None) -> Seal:
    """The seal with the key in a file; raises INVALID for one that can't be read or used."""
    if key_file is None:
        return Seal()
    try:
        key = key_file.read_bytes().strip()
    except OSError as failure:
        why = failure.strerror or "it can't be read"
        raise invalid(f"audit.keyFile is not usable: {key_file}: {why}") from failure
    least, most = KEY_BYTES
    if not least <= len(key) <= most:
        raise invalid(
            f"audit.keyFile is not usable: {key_file} has {len(key)} bytes, not {least} to {most}"
        )
    return Seal(key)


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends: the number of the record that comes next, and the last digest."""

    next: int = 0
    digest: bytes = START


def seal_all(records: Iterable[Record], head: Head, seal: Seal) -> tuple[bytes, Head]:
    """The records as lines that continue a chain, and its new end."""
    lines: list[bytes] = []
    number, digest = head.next, head.digest
    for record in records:
        body = _json({"n": number, **record})
        digest = seal.digest(digest, body)
        lines += (body[:-1], b',"digest":"', digest, b'"}\n')
        number += 1
    return b"".join(lines), Head(number, digest)


@dataclass(frozen=True, slots=True)
class Line:
    """A line taken apart: the record, what was sealed of it, and its digest."""

    record: dict[str, Any]
    body: bytes
    digest: bytes


def take_apart(line: bytes) -> Line | None:
    """None for what no writer wrote; whether the digest is right isn't asked."""
    match = _TAIL.fullmatch(line, max(0, len(line) - _TAIL_BYTES))
    if match is None:
        return None
    body = line[: match.start()] + b"}"
    try:
        record = json.loads(body)  # which, unlike orjson, reads what it has escaped
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or type(record.get("n")) is not int:
        return None
    return Line(record, body, match[1])


def _json(record: Record) -> bytes:
    try:
        return orjson.dumps(record)
    except TypeError:
        # Half of a surrogate pair somewhere, which is no reason to lose a record.
        return json.dumps(record, separators=(",", ":")).encode()
