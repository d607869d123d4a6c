"""Text that comes in pieces, redacted or restored as the whole text would be.

What has been decided is given out, the rest is held back. It is decided by looking at the text that
came, never at where its pieces ended; so the result is the same for every way to cut it. A reply
has one of these a choice and channel.
"""

from policies.pii.cuts import settled
from policies.pii.fold import DISGUISE, fold, unmask
from policies.pii.patterns import compiled
from policies.pii.redactor import Redactor
from policies.pii.span import Span
from policies.pii.vault import LONGEST, UNFINISHED, Vault

# Characters before the undecided text that are kept, since findings look back.
_KEPT = 1024
_DISGUISED = compiled(DISGUISE)


class StreamRedactor:
    """Redacts a text piece by piece.

    Holds back about a word of prose, at most 256 characters of other text with blanks, and the
    whole of a private key; longer where the policy has patterns that match across words.
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

    def push(self, piece: str) -> str:
        """What can be given out now. Raises FORBIDDEN where the policy blocks what was found."""
        self._text += piece
        folded = fold(self._text)
        data = folded.data
        if (b"&" in data or b"%" in data or b"\\" in data) and _DISGUISED.search(data) is not None:
            folded = unmask(self._text)
        begin = folded.position(self._begin)
        place = settled(folded.data, begin, self._redactor.detector.wait)
        if place <= begin:
            return ""
        end = folded.source(place, place + 1)[0] if place < len(folded.data) else len(self._text)
        return self._give(end)

    def flush(self) -> str:
        """The rest; the stream is over."""
        return self._give(len(self._text))

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
