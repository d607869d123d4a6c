from hypothesis import given, settings
from hypothesis import strategies as st

from policies.pii.deep.merging import merged
from policies.pii.span import Span

TEXT = "Jane Doe jane@example.com, Springfield"
NAME = Span(0, 8, "PERSON", 0.85)
MAIL = Span(9, 25, "EMAIL", 0.95)


def test_spans_apart_are_put_in_order() -> None:
    town = Span(27, 38, "LOCATION", 0.85)
    assert merged([MAIL], [NAME, town], TEXT) == [NAME, MAIL, town]


def test_nothing_named_leaves_all_as_it_is() -> None:
    assert merged([MAIL], [], TEXT) == [MAIL]


def test_patterns_are_right_and_what_is_left_of_a_name_stays_hidden() -> None:
    assert merged([MAIL], [Span(0, 25, "PERSON", 0.85)], TEXT) == [NAME, MAIL]
    assert merged([MAIL], [Span(12, 38, "ORGANISATION", 0.85)], TEXT) == [
        MAIL,
        Span(27, 38, "ORGANISATION", 0.85),
    ]
    assert merged([MAIL], [Span(9, 26, "PERSON", 0.85)], TEXT) == [MAIL]


def spans(entity: str) -> st.SearchStrategy[list[Span]]:
    def apart(places: list[int]) -> list[Span]:
        ends = sorted(places)
        return [Span(a, b, entity, 0.9) for a, b in zip(ends[::2], ends[1::2], strict=False)]

    return st.lists(st.integers(0, 40), unique=True, max_size=12).map(apart)


@given(spans("EMAIL"), spans("PERSON"))
@settings(deadline=None, max_examples=150)
def test_no_letter_becomes_readable(exact: list[Span], named: list[Span]) -> None:
    text = "x" * 40
    made = merged(exact, named, text)
    covered = [place for span in made for place in range(span.start, span.end)]
    assert covered == sorted(set(covered))
    assert set(covered) == {p for span in (*exact, *named) for p in range(span.start, span.end)}
    assert [span for span in made if span.entity == "EMAIL"] == exact
