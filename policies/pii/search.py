"""One recogniser at work on one text: its matches from left to right, and how they are judged."""

import re
from dataclasses import dataclass
from typing import Any

from policies.pii.cuts import BEHIND, has_cut, heard
from policies.pii.fold import Folded, unmask
from policies.pii.lookalikes import labelled, part_of_account, part_of_token
from policies.pii.patterns import Place, compiled
from policies.pii.recogniser import Recogniser

# How far before a finding words count for it, in characters of the text.
BEFORE = 64
# What may stand between an answer that is nothing but an identifier and the end of its line.
_LINE_ENDS = re.compile(r"[ \t\r.]{0,16}(?:\n|\Z)")
_INDENT = 16


@dataclass(frozen=True, slots=True)
class Kind:
    """A recogniser with its patterns compiled, and where the set reports its context words.

    RE2 finds the `place` of a match without groups, which is several times faster than with them;
    Python's `re` then only reads the `group` out of it. Patterns of others stay with RE2.
    """

    recogniser: Recogniser
    place: Place
    group: Any
    words: Place | None
    words_at: int
    least: float

    @property
    def sure(self) -> bool:
        """Whether it counts without a word for it."""
        return self.recogniser.score >= self.least


@dataclass(frozen=True, slots=True)
class Finding:
    """A stretch of the folded bytes that all tests have passed."""

    start: int
    end: int
    score: float
    entity: str

    def order(self) -> tuple[int, float, int]:
        """From left to right; of two that begin together the surer one, then the longer one."""
        return self.start, -self.score, -self.end


def reader(recogniser: Recogniser) -> Any:
    """What reads the group out of a match that was found."""
    if recogniser.linear:
        return compiled(recogniser.whole)
    return re.compile(recogniser.whole)


class Search:
    """One recogniser's matches in one text, from left to right."""

    __slots__ = (
        *("_alone", "_data", "_folded", "_hinted", "_kind", "_match", "_position", "_text"),
        "_worded",
        *("at", "found", "may_find", "most"),
    )

    def __init__(
        self, kind: Kind, text: str, folded: Folded, worded: bool, hints: bytes, alone: bool
    ) -> None:
        """`alone` is whether the text may begin with a line that is nothing but an identifier."""
        recogniser = kind.recogniser
        self._alone = alone and recogniser.alone > 0
        self._kind = kind
        self._text = text
        self._folded = folded
        self._data = folded.data
        self._worded = worded  # whether there is a context word anywhere
        words = kind.words
        self._hinted = bool(hints) and words is not None and words.search(hints) is not None
        self._position = 0
        self._match = -1  # where the current match begins, with what stands before it
        self.at = 0  # where the next finding begins, at the earliest
        self.found: Finding | None = None  # it, once it has been tested
        self.most = recogniser.score
        if worded or self._hinted:
            self.most = max(self.most, recogniser.confirmed)
        if self._alone:
            self.most = max(self.most, recogniser.alone)
        self.may_find = self.most >= kind.least

    def seek(self, position: int) -> bool:
        """Goes to the first match that may start at `position` or behind it, if there is one."""
        self._position = position
        return self._next(max(0, position - self._kind.recogniser.reach))

    def test(self) -> bool:
        """Makes the match a finding, or goes to the next one; False if there is none."""
        found = self.found = self._tested()
        if found is None:
            return self._next(self._match + 1)
        self.at = found.start
        return True

    def find(self) -> bool:
        """Makes the next match that is one a finding; False if there is none."""
        while self.found is None:
            if not self.test():
                return False
        return True

    def order(self) -> tuple[int, float, int]:
        """That of the finding; searches without one come last."""
        return (len(self._data), 0.0, 0) if self.found is None else self.found.order()

    def _next(self, place: int) -> bool:
        self.found = None
        found = self._kind.place.search(self._data, place)
        if found is None:
            return False
        at = self._match = found[0]
        # Unless it is the text's beginning, what stands before a finding is one character at least.
        if at and self._kind.recogniser.left:
            at += 1
        self.at = at if at > self._position else self._position
        return True

    def _tested(self) -> Finding | None:
        recogniser, data = self._kind.recogniser, self._data
        match = self._kind.group.match(data, self._match)
        if match is None:
            return None
        start, end = match.span(1)
        if start < self._position or not start < end <= start + recogniser.longest:
            return None
        found = data[start:end].decode("latin-1")
        trimmed = recogniser.trim(found)
        if trimmed == 0 or not recogniser.check(found[:trimmed]):
            return None
        return self._judged(start, start + trimmed)

    def _judged(self, start: int, end: int) -> Finding | None:
        recogniser, data = self._kind.recogniser, self._data
        if data[end : end + 1].isalnum() and recogniser.right:
            return None  # a trimmed one that goes on
        if not recogniser.crosses and has_cut(data, start, end):
            return None
        first, last = self._folded.source(start, end)
        before = self._slice(first - BEFORE, first)
        behind = data[end : end + BEHIND]
        found = data[start:end]
        near = 0.5 if self._hinted else 0.0
        if self._worded:
            near = max(near, self._nearness(before, found, behind))
        score = self._scored(near)
        if self._alone and score < recogniser.alone and self._is_line(first, last):
            score = recogniser.alone
        if score < self._kind.least:
            return None
        if recogniser.confusable and (
            labelled(before)
            or part_of_token(before, found, behind)
            or part_of_account(before, found)
        ):
            return None
        return Finding(start, end, score, recogniser.entity)

    def _nearness(self, before: bytes, found: bytes, behind: bytes) -> float:
        """How near the nearest context word is: 1 beside the finding, 0 for none."""
        words = self._kind.words
        if words is None:
            return 0.0
        last = 0
        while (word := words.search(before, last)) is not None:
            last = word[1]
        if last:
            return 1 - (len(before) - last) / (BEFORE + 1)
        word = words.search(heard(found, behind))
        away = BEFORE + 1 if word is None else word[0]
        return 1 - away / (BEFORE + 1)

    def _scored(self, near: float) -> float:
        """Of two findings at one place, the one counts whose word is nearer."""
        recogniser, least = self._kind.recogniser, self._kind.least
        if not near or recogniser.confirmed < least:
            return recogniser.score
        lowest = max(recogniser.score, least)
        return lowest + (recogniser.confirmed - lowest) * near

    def _is_line(self, first: int, last: int) -> bool:
        """Whether the text's first line is nothing but `text[first:last]`."""
        text = self._text
        indented = first > _INDENT or text[:first].strip() != ""
        return not indented and _LINE_ENDS.match(text, last) is not None

    def _slice(self, start: int, end: int) -> bytes:
        """Folded text before a finding, measured in the text itself, whatever lies further off."""
        start = max(0, start)
        if not self._folded.edits:
            return self._data[start:end]
        return unmask(self._text[start:end]).data
