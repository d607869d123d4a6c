"""Finds identifiers: one pass of RE2 over the text, and a closer look only where it saw something.

Almost all texts are clean, and a clean text costs one `Set` match. What the set reports is searched
for by its own pattern, then judged by what stands beside it, by its check digits and by the words
around it. Patterns that say little by themselves need such words.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter

import re2

from policies.pii.fold import DISGUISE, fold, unmask
from policies.pii.patterns import Place, options
from policies.pii.recogniser import Recogniser
from policies.pii.search import BEFORE, Finding, Kind, Search, reader
from policies.pii.span import Span

# Between the words of `customer_ssn`, `customerSsn` and `customer-ssn`.
_WORDS_APART = re.compile(r"[_.-]|(?<=[a-z0-9])(?=[A-Z])")
# What keys and labels append to a word: `passportNumber`, `Passnr`.
_SUFFIX = rb")s?(?:number|nummer|num|no|nr|id|value)?"
SHORT = 64  # characters within which a line must end to be an answer


class Detector:
    """Recognisers ready for use; has no state, so that one serves all requests."""

    def __init__(
        self, recognisers: Iterable[Recogniser], least: Callable[[str], float] = lambda _: 0.5
    ) -> None:
        """`least` gives the score from which on findings of an entity count.

        Raises ValueError for a pattern that RE2 refuses, naming its entity.
        """
        self._set = re2.Set.SearchSet(options(groups=False))
        self._disguise = self._set.Add(DISGUISE)
        self.wait = 0  # characters behind a place that streams must have seen to know what it is
        self._kinds: dict[int, Kind] = {}
        words: dict[bytes, tuple[int, Place]] = {}
        for recogniser in recognisers:
            lowest = least(recogniser.entity)
            if max(recogniser.score, recogniser.confirmed, recogniser.alone) < lowest:
                continue
            context = recogniser.context
            if context and context not in words:
                source = rb"(?i)(?:^|[^0-9A-Za-z])(?:" + context + _SUFFIX + rb"(?:$|[^0-9A-Za-z])"
                words[context] = self._set.Add(source), Place(source)
            if recogniser.crosses and not recogniser.opening:
                self.wait = max(self.wait, 2 * recogniser.longest + BEFORE)
            words_at, telling = words[context] if context else (-1, None)
            try:
                place = Place(recogniser.whole)
                group = reader(recogniser)
                index = self._set.Add(recogniser.whole)
            except re2.error as error:
                raise ValueError(f"the pattern of {recogniser.entity}: {error}") from None
            self._kinds[index] = Kind(recogniser, place, group, telling, words_at, lowest)
        self._set.Compile()
        # A set that is too large for RE2's memory reports nothing at all.
        if self._disguise not in (self._set.Match(b"&#64;") or ()):
            raise ValueError("the patterns are too large together")

    def find(self, text: str, begin: int = 0, hint: str = "") -> list[Span]:
        """The identifiers in `text` that start at `begin` or later, in order, without overlaps.

        `hint` is what the text is called where it comes from (a tensor's name, a key in JSON); it
        counts as words before each finding. A text without one that begins with a line that is
        nothing but an identifier is taken for an answer: there check digits are enough.
        """
        folded = fold(text)
        seen = self._set.Match(folded.data)
        if seen is None:
            return []
        if self._disguise in seen and not folded.edits:
            folded = unmask(text)
            seen = self._set.Match(folded.data) or []
        hints = _WORDS_APART.sub(" ", hint).encode("ascii", "replace") if hint else b""
        alone = not hint and (len(text) <= SHORT or "\n" in text[:SHORT])
        told = alone or bool(hints)
        searches = [
            search
            for index in seen
            if (kind := self._kinds.get(index)) is not None
            and ((worded := kind.words_at in seen) or told or kind.sure)
            and (search := Search(kind, text, folded, worded, hints, alone)).may_find
        ]
        searches.sort(key=_MOST, reverse=True)  # of matches that begin together, the surest first
        if not searches:
            return []
        return [
            Span(*folded.source(found.start, found.end), found.entity, found.score)
            for found in _resolved(searches, folded.position(begin))
        ]


def _resolved(searches: Sequence["Search"], begin: int) -> Iterator[Finding]:
    """One sweep from left to right: the next finding is taken unless a surer one begins in it.

    What is decided at a place depends on the places before it and on the findings that begin within
    the one in question, never on the rest of the text; streams rely on that. A match is tested only
    when it may be taken, or may keep another from being taken.
    """
    live = [search for search in searches if search.seek(begin)]
    while live:
        if len(live) == 1:  # nothing else decides
            if live[0].find() and (found := live[0].found) is not None:
                yield found
                if live[0].seek(found.end):
                    continue
            return
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
        search = min(rivals, key=Search.order)
        best = search.found or best
        if any(other.found.score > best.score for other in rivals if other.found is not None):
            if not search.seek(best.start + 1):
                live.remove(search)
            continue
        yield best
        live = [other for other in live if other.at >= best.end or other.seek(best.end)]


_AT = attrgetter("at")
_MOST = attrgetter("most")
