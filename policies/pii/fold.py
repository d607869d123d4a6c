"""Text as detection reads it: one byte per character, look-alikes and disguises undone.

Patterns then need no Unicode, and a position in the folded bytes is a position in the text, but for
the few places (zero-width characters, ligatures, `&#64;`) that are kept as edits. The bytes are
read as Latin-1 by RE2: ASCII as it is, and three bytes for everything else.
"""

import codecs
import html
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

# Control characters of Latin-1, which no text has a use for, stand for everything beyond ASCII.
_IGNORED = 0x80  # to be taken out: zero-width and formatting characters, combining accents
_SEVERAL = 0x81  # to be written out: a ligature, a number in a circle
LETTER = 0x82  # of an alphabet that puts spaces between words
OTHER = 0x83  # everything that ends a word: symbols, and letters of scripts without spaces

# A longer run of invisible characters separates words instead of joining them, so that what a fold
# says of a place never depends on text that is far from it.
LONGEST_RUN = 16

_ERRORS = "penstock.fold"
# What is written in ASCII but means another character; the detector looks for it in its one pass.
DISGUISE = (
    rb"&(?:#[0-9]{1,6}|#[xX][0-9A-Fa-f]{1,5}|[A-Za-z]{2,20});"
    rb"|%[2-7][0-9A-Fa-f]"
    rb"|\\(?:u00|x)[2-7][0-9A-Fa-f]"
)
_EDITS = re.compile(rb"\x80+|\x81|" + DISGUISE)


@dataclass(frozen=True, slots=True)
class _Edit:
    """`size` folded bytes from `at` on stand for the characters `start` to `end` of the text."""

    at: int
    size: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Folded:
    """The bytes, and the way back from a stretch of them to the text."""

    data: bytes
    edits: tuple[_Edit, ...] = ()

    def source(self, start: int, end: int) -> tuple[int, int]:
        """Where the characters behind `data[start:end]` (not empty) stand in the text."""
        if not self.edits:
            return start, end
        return self._around(start)[0], self._around(end - 1)[1]

    def position(self, place: int) -> int:
        """The first folded position that stands for nothing before `place` of the text."""
        if not self.edits:
            return place
        edit = self._last(place, "start")
        if edit is None or place == edit.start:
            return place if edit is None else edit.at
        return edit.at + edit.size + max(0, place - edit.end)

    def _around(self, position: int) -> tuple[int, int]:
        edit = self._last(position, "at")
        if edit is None:
            return position, position + 1
        if position < edit.at + edit.size:
            return edit.start, edit.end
        place = edit.end + position - edit.at - edit.size
        return place, place + 1

    def _last(self, value: int, name: str) -> _Edit | None:
        index = bisect_right(self.edits, value, key=lambda edit: getattr(edit, name))
        return self.edits[index - 1] if index else None


def fold(text: str) -> Folded:
    """The text with Unicode undone: digits, dashes, spaces, accents, widths, invisible letters."""
    if text.isascii():
        return Folded(text.encode())
    data = text.encode("latin-1", _ERRORS).translate(_LATIN)
    if b"\x80" in data or b"\x81" in data:
        return _edited(text, data)
    return Folded(data)


def unmask(text: str) -> Folded:
    """The text with Unicode undone and HTML entities, percent and backslash escapes read."""
    if text.isascii() and "&" not in text and "%" not in text and "\\" not in text:
        return Folded(text.encode())
    return _edited(text, text.encode("latin-1", _ERRORS).translate(_LATIN))


def _edited(text: str, data: bytes) -> Folded:
    pieces: list[bytes] = []
    edits: list[_Edit] = []
    done = size = 0
    for start, end, written in _replacements(text, data):
        pieces += (data[done:start], written)
        size += start - done
        edits.append(_Edit(size, len(written), start, end))
        size += len(written)
        done = end
    pieces.append(data[done:])
    return Folded(b"".join(pieces), tuple(edits))


def _replacements(text: str, data: bytes) -> Iterator[tuple[int, int, bytes]]:
    invisible = last = 0  # how many characters up to `last` can't be seen
    for match in _EDITS.finditer(data):
        start, end = match.span()
        first = data[start]
        if first == _IGNORED:
            written: bytes | None = b""
        elif first == _SEVERAL:
            written = _several(text[start])
        else:
            written = _read(match[0].decode("ascii"))
        if written is None:
            continue
        if not written:
            invisible = (invisible if start == last else 0) + (
                end - start if first == _IGNORED else 1
            )
            last = end
            if invisible > LONGEST_RUN:
                written = b"\x83"
        yield start, end, written


def _read(escape: str) -> bytes | None:
    """What an escape stands for; None leaves it as it is written."""
    if escape[0] == "&":
        character = html.unescape(escape)
        if len(character) != 1:
            return None
    else:
        character = chr(int(escape[-2:], 16))
    folded = _byte(character)
    if folded == _IGNORED:
        return b""
    if folded == _SEVERAL or folded < 0x20:
        return None
    return bytes((folded,))


def _several(character: str) -> bytes:
    written = bytes(map(_byte, unicodedata.normalize("NFKC", character)))
    return written.replace(b"\x80", b"").replace(b"\x81", b"\x83") or b"\x83"


@lru_cache(maxsize=8192)
def _byte(character: str) -> int:
    """The one byte that a character folds to."""
    if character < "\x80":
        return ord(character)
    category = unicodedata.category(character)
    if category == "Cf" or "\u0300" <= character <= "\u036f" or "\ufe00" <= character <= "\ufe0f":
        return _IGNORED
    if category == "Nd":
        return 0x30 + unicodedata.digit(character)
    if category == "Pd" or character == "\N{MINUS SIGN}":
        return 0x2D
    if category == "Zs":
        return 0x20
    if category in ("Zl", "Zp") or character == "\x85":
        return 0x0A
    if character in _PUNCTUATION:
        return ord(_PUNCTUATION[character])
    compatible = unicodedata.normalize("NFKC", character)
    if compatible != character:
        return _byte(compatible) if len(compatible) == 1 else _SEVERAL
    base = unicodedata.normalize("NFD", character)[0]
    if base.isascii() and base.isalpha():
        return ord(base)
    if base.isdigit() and category == "No":
        return 0x30 + unicodedata.digit(base)
    return LETTER if category in ("Lu", "Ll", "Lt") else OTHER


_PUNCTUATION = {
    **dict.fromkeys("‘’‚‛′", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("。｡․", "."),
    "⁄": "/",
    "∕": "/",
    "∶": ":",
}


def _unencodable(error: UnicodeError) -> tuple[bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return bytes(map(_byte, error.object[error.start : error.end])), error.end


# What the handler gives passes through the table for Latin-1 too, which leaves its bytes alone.
codecs.register_error(_ERRORS, _unencodable)
_LATIN = bytes(code if code <= OTHER else _byte(chr(code)) for code in range(256))
