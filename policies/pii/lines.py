"""Lines redacted one by one, but for private keys, which stand on several.

As many lines come out as go in, in their order. A key's replacement stands where it begins, and of
its other lines nothing is left but what stands beside it.
"""

from collections.abc import Sequence

from policies.pii.cuts import BLOCK, open_block
from policies.pii.fold import unmask
from policies.pii.redactor import Redacted, Redactor
from policies.pii.span import Span

# Characters within which a key must end. It is held back for so long, and if it hasn't ended then
# what is found of it is hidden.
LONGEST = 16_384


class LineRedactor:
    """Redacts the lines of one tenant; those of a key are held back until it ends."""

    def __init__(self, redactor: Redactor, tenant: str) -> None:
        self._redactor = redactor
        self._tenant = tenant
        self._held: list[str] = []
        self._size = 0

    def push(self, line: str) -> list[Redacted]:
        """The lines that can be given out now. `line` is without its end."""
        self._held.append(line)
        self._size += len(line) + 1
        if not self._opened():
            return self.flush()
        return self._overdue() if self._size > LONGEST else []

    def flush(self) -> list[Redacted]:
        """The rest; no more lines follow."""
        held, self._held, self._size = self._held, [], 0
        return self._redacted(held)

    def _opened(self) -> bool:
        data = unmask("\n".join(self._held)).data
        return open_block(data, 0) < len(data)

    def _overdue(self) -> list[Redacted]:
        """All that is too much for a key but its last line, or but a block that begins in it."""
        begins = (at for at, line in enumerate(self._held) if at and BLOCK in unmask(line).data)
        last = next(begins, max(1, len(self._held) - 1))
        given = self._redacted(self._held[:last])
        self._held = self._held[last:]
        self._size = sum(map(len, self._held)) + len(self._held)
        return given

    def _redacted(self, lines: Sequence[str]) -> list[Redacted]:
        redactor = self._redactor
        # A vault for each: nothing is restored, and what a run has found need not be kept.
        vault = redactor.vault(self._tenant)
        if len(lines) < 2:
            return [redactor.redact(line, vault) for line in lines]
        text = "\n".join(lines)
        found = redactor.find(text, self._tenant)
        made: list[Redacted] = []
        start = 0
        for line in lines:
            end = start + len(line)
            here = [span for span in found if span.start < end and span.end > start]
            if any("\n" in text[span.start : span.end] for span in here):
                made.append(self._part(text, here, start, end))
            else:
                made.append(redactor.redact(line, vault))
            start = end + 1
        return made

    def _part(self, text: str, found: Sequence[Span], start: int, end: int) -> Redacted:
        """One of several lines, `text[start:end]`, into which findings reach."""
        redactor = self._redactor
        vault = redactor.vault(self._tenant)
        pieces: list[str] = []
        done = start
        for span in found:
            whole = redactor.hide(text, [span], vault, span.start, span.end)
            line = text.count("\n", span.start, max(start, span.start))
            written = whole.split("\n")
            several = len(written) > 1  # a mask, or what is only observed
            pieces.append(text[done : max(done, span.start)])
            pieces.append(written[line] if several else whole if not line else "")
            done = min(end, span.end)
        spans = tuple(
            Span(max(0, span.start - start), min(end, span.end) - start, span.entity, span.score)
            for span in found
        )
        return Redacted("".join((*pieces, text[done:end])), spans)
