"""Text that comes in pieces, redacted or restored as the whole text would be.

What has been decided is given out, the rest is held back. It is decided by looking at the text that
came, never at where its pieces ended; so the result is the same for every way to cut it. A reply
has one of these a choice and channel.
"""

import re

from policies.pii.cuts import settled
from policies.pii.fold import DISGUISE, finished, fold, unmask
from policies.pii.patterns import compiled
from policies.pii.redactor import Redactor
from policies.pii.span import Span
from policies.pii.vault import LONGEST, UNFINISHED, Vault

# Characters before the undecided text that are kept, since findings look back.
_KEPT = 1024
_DISGUISED = compiled(DISGUISE)
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
# What holds back more characters than this is looked at again only when there is so much more of
# it: else text that is never decided, such as base64, would cost with each piece what all of it
# costs.
_PATIENT = 512
_MORE = 1 / 32


class StreamRedactor:
    """Redacts a text piece by piece.

    Holds back about a word of prose, at most 256 characters of other text with blanks, and the
    whole of a private key; longer where the policy has patterns that match across words. Where it
    holds back more than 512 characters, it may wait for a thirty-second more of them.
    """

    def __init__(
        self, redactor: Redactor, vault: Vault, hint: str = "", *, blocking: bool = True
    ) -> None:
        """Unless `blocking`, whoever uses it looks for what the policy blocks in `spans`."""
        self._blocking = blocking
        self.spans: list[Span] = []  # so far, counted from the beginning of the stream
        self._redactor = redactor
        self._vault = vault
        self._hint = hint
        self._text = ""
        self._begin = 0  # of what was not given out, in `_text`
        self._gone = 0  # characters that stood before `_text`
        self._controls = False  # whether a control character came
        self._enough = 0  # how long `_text` must be to be looked at

    def push(self, piece: str) -> str:
        """What can be given out now. Raises FORBIDDEN where the policy blocks what was found."""
        self._text += piece
        if not (self._controls or piece.isprintable()):
            self._controls = _CONTROLS.search(piece) is not None
        if len(self._text) < self._enough:
            return ""
        end = self._decided()
        given = self._give(end) if end > self._begin else ""
        held = len(self._text) - self._begin
        self._enough = len(self._text) + int(held * _MORE) if held > _PATIENT else 0
        return given

    def flush(self) -> str:
        """The rest; the stream is over."""
        return self._give(len(self._text))

    def _decided(self) -> int:
        """Up to where, in `_text`, what is found can't change any more."""
        text = self._text
        if (end := finished(text)) < len(text):
            text = text[:end]
        folded = fold(text)
        data = folded.data
        escaped = self._controls or b"&" in data or b"%" in data or b"\\" in data
        if escaped and _DISGUISED.search(data) is not None:
            folded = unmask(text)
        begin = folded.position(self._begin)
        place = settled(folded.data, begin, self._redactor.detector.wait)
        if place <= begin:
            return self._begin
        return folded.source(place, place + 1)[0] if place < len(folded.data) else end

    def _give(self, end: int) -> str:
        text, begin = self._text, self._begin
        found = self._redactor.find(text, self._vault.tenant, begin=begin, hint=self._hint)
        spans = [span for span in found if span.start < end]
        if self._blocking:
            self._redactor.check(spans)
        if spans:
            end = max(end, spans[-1].end)
        given = self._redactor.hide(text, spans, self._vault, begin, end)
        self.spans += (
            Span(span.start + self._gone, span.end + self._gone, span.entity, span.score)
            for span in spans
        )
        drop = max(0, end - _KEPT)
        self._text = text[drop:]
        self._begin = end - drop
        self._gone += drop
        return given


class StreamRestorer:
    """Restores placeholders piece by piece; holds back what may become one, at most 56 characters.

    `escaped` is the vault's: for arguments of tools, which are JSON.
    """

    def __init__(self, vault: Vault, *, escaped: bool = False) -> None:
        self._vault = vault
        self._escaped = escaped
        self._held = ""

    def push(self, piece: str) -> str:
        """What can be given out now."""
        text = self._held + piece
        # No placeholder has a bracket within, so only the last one can be unfinished.
        start = text.rfind("[")
        if start < 0 or len(text) - start >= LONGEST or not UNFINISHED.fullmatch(text, start):
            start = len(text)
        self._held = text[start:]
        return self._vault.restore(text[:start], escaped=self._escaped)

    def flush(self) -> str:
        """The rest; the stream is over."""
        held, self._held = self._held, ""
        return self._vault.restore(held, escaped=self._escaped)
