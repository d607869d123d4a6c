"""Tables of a report's page, and the notes beneath them."""

from collections.abc import Iterable, Sequence

from gateway.reports.markup import Child, Markup, element, foreign
from routing.shadow.wording import count


def table(
    caption: str,
    columns: Sequence[Child],
    rows: Iterable[Sequence[Child]],
    class_: str | None = None,
) -> Markup:
    """The first column names the row. Each cell knows its column, for screens without room.

    The roles are said aloud, as a table that the style sheet lays out otherwise may lose them.
    """
    head = element(
        "tr",
        *[element("th", column, scope="col", role="columnheader") for column in columns],
        role="row",
    )
    body = [
        element(
            "tr",
            element("th", row[0], scope="row", role="rowheader"),
            *[
                element(
                    "td",
                    cell,
                    data_column=None if isinstance(column, Markup) else column,
                    role="cell",
                )
                for column, cell in zip(columns[1:], row[1:], strict=True)
            ],
            role="row",
        )
        for row in rows
    ]
    return element(
        "table",
        element("caption", caption),
        element("thead", head, role="rowgroup"),
        element("tbody", *body, role="rowgroup"),
        class_=class_,
        role="table",
    )


def note(*text: Child) -> Markup:
    return element("p", *text, class_="note")


def counted(title: str, counts: Sequence[tuple[str, int]]) -> Markup | None:
    if not counts:
        return None
    rows = [(foreign(text), count(n)) for text, n in counts]
    return table(title, ("Reason", "Pairs"), rows)
