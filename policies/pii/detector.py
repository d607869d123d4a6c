"""Finds identifiers: one pass of RE2 over the text, and a closer look only where it saw something.

Almost all texts are clean, and a clean text costs one `Set` match. What the set reports is searched
for by its own pattern, then judged by what stands beside it, by its check digits and by the words
around it. Patterns that say little by themselves need such words.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import re2

from policies.pii.cuts import clause, has_cut
from policies.pii.fold import DISGUISE, Folded, fold, unmask
from policies.pii.lookalikes import labelled, part_of_token
from policies.pii.recogniser import Recogniser
from policies.pii.span import Span

# How far before and behind a finding words count for it, in characters of the text.
BEFORE = 64
BEHIND = 24
_MEMORY = 64 << 20  # bytes that RE2 may use for the automaton of the set


@dataclass(frozen=True, slots=True)
class _Kind:
    """A recogniser with its patterns compiled, and where the set reports its context words.

    RE2 finds the `place` of a match without groups, which is several times faster than with them;
    Python's `re` then only reads the `group` out of it. Patterns of others stay with RE2.
    """

    recogniser: Recogniser
    place: Any
    group: Any
    words: Any | None
    words_at: int
    least: float


@dataclass(frozen=True, slots=True)
class _Finding:
    """A stretch of the folded bytes that all tests have passed."""

    start: int
    end: int
    score: float
    entity: str

    def order(self) -> tuple[int, float, int]:
        """From left to right; of two that begin together the surer one, then the longer one."""
        return self.start, -self.score, -self.end


class Detector:
    """Recognisers ready for use; has no state, so that one serves all requests."""

    def __init__(
        self, recognisers: Iterable[Recogniser], least: Callable[[str], float] = lambda _: 0.5
    ) -> None:
        """`least` gives the score from which on findings of an entity count.

        Raises ValueError for a pattern that RE2 refuses, naming its entity.
        """
        self._set = re2.Set.SearchSet(_options(never_capture=True))
        self._disguise = self._set.Add(DISGUISE)
        self.wait = 0  # characters behind a place that streams must have seen to know what it is
        self._kinds: dict[int, _Kind] = {}
        words: dict[bytes, tuple[int, Any]] = {}
        for recogniser in recognisers:
            lowest = least(recogniser.entity)
            if recogniser.confirmed < lowest and recogniser.score < lowest:
                continue
            context = recogniser.context
            if context and context not in words:
                source = rb"(?i)(?:^|[^0-9A-Za-z])(?:" + context + rb")(?:$|[^0-9A-Za-z])"
                words[context] = self._set.Add(source), re2.compile(source, _options())
            if recogniser.crosses and not recogniser.opening:
                self.wait = max(self.wait, 2 * recogniser.longest + BEFORE)
            words_at, compiled = words[context] if context else (-1, None)
            try:
                place = re2.compile(recogniser.whole, _options(never_capture=True))
                group = _reader(recogniser)
                index = self._set.Add(recogniser.whole)
            except re2.error as error:
                raise ValueError(f"the pattern of {recogniser.entity}: {error}") from None
            self._kinds[index] = _Kind(recogniser, place, group, compiled, words_at, lowest)
        self._set.Compile()

    def find(self, text: str, begin: int = 0, hint: str = "") -> list[Span]:
        """The identifiers in `text` that start at `begin` or later, in order, without overlaps.

        `hint` is what the text is called where it comes from (a tensor's name, a key in JSON); it
        counts as words before each finding.
        """
        folded = fold(text)
        seen = self._set.Match(folded.data)
        if seen is None:
            return []
        if self._disguise in seen and not folded.edits:
            folded = unmask(text)
            seen = self._set.Match(folded.data) or []
        hints = hint.replace("_", " ").encode("ascii", "replace")
        searches = [
            _Search(kind, text, folded, kind.words_at in seen, hints)
            for index in seen
            if (kind := self._kinds.get(index)) is not None
        ]
        searches = [search for search in searches if search.may_find]
        searches.sort(key=_MOST, reverse=True)  # of matches that begin together, the surest first
        if not searches:
            return []
        return [
            Span(*folded.source(found.start, found.end), found.entity, found.score)
            for found in _resolved(searches, folded.position(begin))
        ]


def _resolved(searches: Sequence["_Search"], begin: int) -> Iterator[_Finding]:
    """One sweep from left to right: the next finding is taken unless a surer one begins in it.

    What is decided at a place depends on the places before it and on the findings that begin within
    the one in question, never on the rest of the text; streams rely on that. A match is tested only
    when it may be taken, or may keep another from being taken.
    """
    live = [search for search in searches if search.seek(begin)]
    while live:
        search = min(live, key=_AT)
        if search.found is None:
            if not search.test():
                live.remove(search)
            continue
        best = search.found
        open_ = [
            other
            for other in live
            if other.found is None
            and other.at < best.end
            and (other.most > best.score or (other.most == best.score and other.at == best.start))
        ]
        if open_:
            live = [other for other in live if other not in open_ or other.test()]
            continue
        rivals = [other for other in live if other.found is not None and other.at < best.end]
        search = min(rivals, key=_Search.order)
        best = search.found or best
        if any(other.found.score > best.score for other in rivals if other.found is not None):
            if not search.seek(best.start + 1):
                live.remove(search)
            continue
        yield best
        live = [other for other in live if other.at >= best.end or other.seek(best.end)]


_AT = attrgetter("at")
_MOST = attrgetter("most")


class _Search:
    """One recogniser's matches in one text, from left to right."""

    __slots__ = (
        *("_data", "_folded", "_hinted", "_kind", "_match", "_position", "_text", "_worded"),
        *("at", "found", "may_find", "most"),
    )

    def __init__(self, kind: _Kind, text: str, folded: Folded, worded: bool, hints: bytes) -> None:
        recogniser = kind.recogniser
        self._kind = kind
        self._text = text
        self._folded = folded
        self._data = folded.data
        self._worded = worded  # whether there is a context word anywhere
        self._hinted = bool(hints and kind.words is not None and kind.words.search(hints))
        self._position = 0
        self._match = -1  # where the current match begins, with what stands before it
        self.at = 0  # where the next finding begins, at the earliest
        self.found: _Finding | None = None  # it, once it has been tested
        told = worded or self._hinted
        self.most = max(recogniser.score, recogniser.confirmed if told else 0.0)
        self.may_find = self.most >= kind.least

    def seek(self, position: int) -> bool:
        """Goes to the first match that may start at `position` or behind it, if there is one."""
        self._position = position
        return self._next(max(0, position - self._kind.recogniser.reach))

    def test(self) -> bool:
        """Makes the match a finding, or goes to the next one; False if there is none."""
        self.found = self._tested()
        if self.found is None:
            return self._next(self._match + 1)
        self.at = self.found.start
        return True

    def order(self) -> tuple[int, float, int]:
        """That of the finding; searches without one come last."""
        return (len(self._data), 0.0, 0) if self.found is None else self.found.order()

    def _next(self, place: int) -> bool:
        self.found = None
        match = self._kind.place.search(self._data, place)
        if match is None:
            return False
        self._match = match.start()
        # Unless it is the text's beginning, what stands before a finding is one character at least.
        beside = bool(self._match and self._kind.recogniser.left)
        self.at = max(self._match + beside, self._position)
        return True

    def _tested(self) -> _Finding | None:
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

    def _judged(self, start: int, end: int) -> _Finding | None:
        recogniser, data = self._kind.recogniser, self._data
        if data[end : end + 1].isalnum() and recogniser.right:
            return None  # a trimmed one that goes on
        if not recogniser.crosses and has_cut(data, start, end):
            return None
        first, last = self._folded.source(start, end)
        before = self._slice(first - BEFORE, first)
        behind = self._slice(last, last + BEHIND)
        found = data[start:end]
        near = 0.5 if self._hinted else 0.0
        if self._worded:
            near = max(near, self._nearness(before, found, behind))
        score = self._scored(near)
        if score < self._kind.least:
            return None
        if recogniser.confusable and (labelled(before) or part_of_token(before, found, behind)):
            return None
        return _Finding(start, end, score, recogniser.entity)

    def _nearness(self, before: bytes, found: bytes, behind: bytes) -> float:
        """How near the nearest context word is: 1 beside the finding, 0 for none."""
        words = self._kind.words
        if words is None:
            return 0.0
        ends: list[int] = [match.end() for match in words.finditer(before)]
        if ends:
            return 1 - (len(before) - ends[-1]) / (BEFORE + 1)
        match = words.search(clause(found, behind))
        away = BEFORE + 1 if match is None else int(match.start())
        return 1 - away / (BEFORE + 1)

    def _scored(self, near: float) -> float:
        """Of two findings at one place, the one counts whose word is nearer."""
        recogniser, least = self._kind.recogniser, self._kind.least
        if not near or recogniser.confirmed < least:
            return recogniser.score
        lowest = max(recogniser.score, least)
        return lowest + (recogniser.confirmed - lowest) * near

    def _slice(self, start: int, end: int) -> bytes:
        """Folded text around a finding, measured in the text itself, whatever lies further off."""
        start = max(0, start)
        if not self._folded.edits:
            return self._data[start:end]
        return unmask(self._text[start:end]).data


def _reader(recogniser: Recogniser) -> Any:
    if recogniser.linear:
        return re2.compile(recogniser.whole, _options())
    return re.compile(recogniser.whole)


def _options(never_capture: bool = False) -> re2.Options:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    options.never_capture = never_capture
    options.max_mem = _MEMORY
    return options
