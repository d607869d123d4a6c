"""What patterns found and what a model found in the same text, without overlaps."""

from collections.abc import Iterable, Iterator, Sequence

from policies.pii.span import Span


def merged(exact: Sequence[Span], named: Iterable[Span], text: str) -> list[Span]:
    """All of it in order. Both are in order and without overlaps, each for itself.

    Where both found something the patterns are right, since they have check digits; what a name
    has besides stays a name, so that nothing becomes readable because something else was found.
    """
    rest = [piece for span in named for piece in _without(span, exact, text)]
    return sorted((*exact, *rest), key=lambda span: span.start) if rest else list(exact)


def _without(span: Span, others: Sequence[Span], text: str) -> Iterator[Span]:
    """What is left of a span beside others, as far as there are letters or digits in it."""
    start = span.start
    for other in others:
        if other.end <= start or other.start >= span.end:
            continue
        yield from _told(Span(start, other.start, span.entity, span.score), text)
        start = other.end
    yield from _told(Span(start, span.end, span.entity, span.score), text)


def _told(span: Span, text: str) -> Iterator[Span]:
    start, end = span.start, span.end
    while start < end and not text[start].isalnum():
        start += 1
    while start < end and not text[end - 1].isalnum():
        end -= 1
    if start < end:
        yield Span(start, end, span.entity, span.score)
