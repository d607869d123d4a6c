"""Text as detection reads it: one byte per character, look-alikes and disguises undone.

Patterns then need no Unicode, and a position in the folded bytes is a position in the text, but for
the few places (invisible characters, ligatures, `&#64;`) that are kept as edits. The bytes are
read as Latin-1 by RE2: ASCII as it is, and two bytes for everything else.
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
_IGNORED = 0x80  # to be taken out: invisible and formatting characters, combining accents
_SEVERAL = 0x81  # to be written out: a ligature, a number in a circle
LETTER = 0x82  # of an alphabet that puts spaces between words
OTHER = 0x83  # everything that ends a word: symbols, and letters of scripts without spaces
_MARK = 0x84  # other combining marks: part of a letter before them, to be taken out elsewhere
_CONTROLS = "\x81\x82\x83\x84"  # what these are in a text
# Passes in which marks join the letter before them; more than so many have no letter.
_MARKS = 4

# A longer run of invisible characters separates words instead of joining them, so that what a fold
# says of a place never depends on text that is far from it.
LONGEST_RUN = 16

_ERRORS = "penstock.fold"
# What is written in ASCII but means another character, or is not seen; the detector looks for it in
# its one pass.
DISGUISE = (
    rb"[\x00-\x08\x0e-\x1f\x7f]|"
    rb"&(?:#(?:0{0,12}[0-9]{1,7}|[xX]0{0,12}[0-9A-Fa-f]{1,6});?|[A-Za-z]{2,20};|(?:shy|nbsp))"
    rb"|%[2-7][0-9A-Fa-f]"
    rb"|\\(?:(?:u00|x)[2-7][0-9A-Fa-f]|u\{0{0,8}[0-9A-Fa-f]{1,6}\}|U00[01][0-9A-Fa-f]{5})"
)
_EDITS = re.compile(rb"\x80+|\x81|" + DISGUISE)
# One that the text that follows may end, or make another of.
_UNFINISHED = re.compile(rb"[&%\\][#{0-9A-Za-z]*\Z")
_LONGEST_ESCAPE = 24


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
    data = _bytes(text)
    if b"\x80" in data or b"\x81" in data:
        return _edited(text, data)
    return Folded(data)


def unmask(text: str) -> Folded:
    """The text with Unicode undone, control characters taken out and escapes read.

    Those of HTML (`&#64;`), of URLs (`%40`) and behind a backslash (`\\u0040`).
    """
    data = _bytes(text)
    if text.isascii() and b"\x80" not in data and not any(map(data.__contains__, b"&%\\")):
        return Folded(data)
    return _edited(text, data)


def finished(text: str) -> int:
    """How many of the text's characters are read as they are whatever text follows them."""
    tail = _bytes(text[-_LONGEST_ESCAPE:])
    match = _UNFINISHED.search(tail)
    return len(text) if match is None else len(text) - len(tail) + match.start()


def _bytes(text: str) -> bytes:
    """One for each character; those below `LETTER` stand for what is to be edited."""
    if text.isascii():
        return text.encode().translate(_LATIN)
    if any(map(text.__contains__, _CONTROLS)):
        text = text.translate(_UNCONTROLLED)
    data = text.encode("latin-1", _ERRORS).translate(_LATIN)
    if b"\x84" in data:
        for _ in range(_MARKS):
            data = data.replace(b"\x83\x84", b"\x83\x83").replace(b"\x82\x84", b"\x82\x82")
        data = data.replace(b"\x84", b"\x80")
    return data


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
        if not character:  # a control character
            return b""
    else:
        code = int(escape.strip("%\\uUx{}"), 16)
        character = chr(code) if code < 0x110000 else escape
    if len(character) != 1:
        return None
    folded = _byte(character)
    if folded in (_IGNORED, _MARK):
        return b""
    if folded == _SEVERAL or folded < 0x20:
        return None
    return bytes((folded,))


def _several(character: str) -> bytes:
    written = bytes(map(_byte, unicodedata.normalize("NFKC", character)))
    return written.translate(_WRITTEN, b"\x80\x84") or b"\x83"


@lru_cache(maxsize=8192)
def _byte(character: str) -> int:
    """The one byte that a character folds to."""
    category = unicodedata.category(character)
    if category == "Cc" and character not in _SPACES:
        return _IGNORED
    if character < "\x80":
        return 0x20 if "\x1c" <= character < "\x20" else ord(character)
    if category == "Cf" or "\u0300" <= character <= "\u036f" or _INVISIBLE.match(character):
        return _IGNORED
    if category in ("Mn", "Me"):
        return _MARK
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


_SPACES = "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85"
# Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties.txt, but for what is of category
# Cf anyway; and the blank of Braille.
_INVISIBLE = re.compile(
    "[\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
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
_LATIN = bytes(code if 0x80 <= code <= _MARK else _byte(chr(code)) for code in range(256))
_UNCONTROLLED = dict.fromkeys(map(ord, _CONTROLS), _IGNORED)
_WRITTEN = bytes(OTHER if code == _SEVERAL else code for code in range(256))
