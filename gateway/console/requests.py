"""The last slow and failed requests, and one of them explained."""

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote as percent

from gateway.console.figures import ABSENT, clock, duration
from gateway.console.frame import empty, heading, live, section, state
from gateway.console.waterfall import waterfall
from gateway.recent import Row
from gateway.reports.markup import Child, Markup, element, foreign, joined, visible
from gateway.reports.tables import note, table

FILTERS = {"model": "Model", "code": "Code", "request_id": "Request id"}
_KINDS = ("Failed", "Refused", "Left by the client", "Slowest")
_LEFT = 499  # nobody waited for the answer
# How many of each kind are shown at once, without and with a filter.
_MOST, _MOST_FOUND = 25, 100


def requests_page(rows: Sequence[Row], wanted: Mapping[str, str]) -> list[Markup]:
    """Those that were found by the filters in `wanted`, which come the newest first."""
    fields = [
        element(
            "label",
            title,
            element(
                "input",
                name=name,
                value=wanted.get(name, ""),
                autocomplete="off",
                spellcheck="false",
                inputmode="numeric" if name == "code" else None,
            ),
        )
        for name, title in FILTERS.items()
    ]
    if rows:
        found = [
            each for each in _sections(rows, _MOST_FOUND if wanted else _MOST) if each is not None
        ]
    else:
        text = (
            "Not among those that are kept."
            if wanted
            else "No request has failed or been slow yet."
        )
        found = [empty(text)]
    return [
        heading("Requests", "The last that failed, were refused or were among the slowest."),
        element(
            "form",
            *fields,
            element("div", element("button", "Find")),
            action="/requests",
            class_="form filters",
            role="search",
        ),
        live("found", *found),
        note(
            "Kept in memory: 200 that failed, 100 refusals, and the 200 slowest of the last ten "
            "minutes. Of what clients sent, only the names of requests and models are among it."
        ),
    ]


def _sections(rows: Sequence[Row], most: int) -> Iterator[Markup | None]:
    kinds: tuple[list[Row], ...] = ([], [], [], [])
    for row in rows:
        kinds[_kind(row["code"])].append(row)
    kinds[3].sort(key=lambda row: -float(row["seconds"]))
    for title, found in zip(_KINDS, kinds, strict=True):
        shown = found[:most]
        of = f"{len(shown)} of {len(found)}" if len(shown) < len(found) else f"{len(found)}"
        if shown:
            yield section(title, _table(title, shown), aside=element("p", of, class_="aside"))


def _kind(code: int) -> int:
    """Which of the kinds it is."""
    if code == _LEFT:
        return 2
    return 0 if code >= 500 else 1 if code >= 400 else 3


def _table(title: str, rows: Sequence[Row]) -> Markup:
    columns = ("Request", "When", "Answer", "Took", "Model", "Route · arm", "Tenant", "Attempts")
    return table(f"{title} requests", columns, [_row(row) for row in rows], "cards")


def _row(row: Row) -> list[Child]:
    served = " · ".join(filter(None, (row["route"], row["arm"])))
    name = row["request_id"] or row["trace_id"]
    return [
        element("a", element("code", visible(name, 40)), href=_path(row)),
        clock(row["at"]),
        _answer(row),
        duration(row["seconds"]),
        foreign(row["model"]),
        foreign(served) if served else ABSENT,
        foreign(row["tenant"]) if row["tenant"] else ABSENT,
        str(row["attempts"]),
    ]


def _answer(row: Row) -> Markup:
    code = int(row["code"])
    if code < 400:
        return state("", str(code))
    kind = row["error"].lower().replace("_", " ")
    return state("bad" if code >= 500 else "warn", f"{code} {kind}".rstrip())


def request_page(row: Row) -> list[Markup]:
    """One request: what became of it, where its time went, and who answered."""
    outside = row["seconds"] - row["queue_seconds"] - row["compute_seconds"]
    backend = row["queue_seconds"] or row["compute_seconds"]
    facts: tuple[tuple[str, Child], ...] = (
        ("Answer", _answer(row)),
        ("Took", duration(row["seconds"])),
        ("In the backend’s queue", duration(row["queue_seconds"]) if backend else ABSENT),
        ("Computing", duration(row["compute_seconds"]) if backend else ABSENT),
        ("Everything else", duration(max(0.0, outside))),
        ("Began", clock(row["at"])),
        ("Model", foreign("/".join(filter(None, (row["model"], row["version"]))))),
        ("Route · arm", foreign(" · ".join(filter(None, (row["route"], row["arm"]))))),
        ("Tenant", foreign(row["tenant"])),
        ("Refused by", foreign(row["refused_by"]) if row["refused_by"] else ABSENT),
        (
            "Attempts",
            joined(f"{row['attempts']} at ", foreign(", ".join(row["instances"])))
            if row["instances"]
            else "none",
        ),
        ("Rows in the batch", row["batch_rows"] or ABSENT),
        ("Cache", row["cache"] or ABSENT),
        ("Trace id", element("code", row["trace_id"])),
    )
    items = [element("div", element("dt", name), element("dd", value)) for name, value in facts]
    name = visible(row["request_id"] or row["trace_id"], 40)
    return [
        joined(
            element("p", element("a", "Requests", href="/requests")),
            heading(joined("Request ", element("code", name))),
        ),
        element("dl", *items, class_="facts"),
        section(
            "Where the time went",
            waterfall(row["spans"]),
            note(
                "The same spans as in the trace. Where a backend’s lie within an attempt is "
                "estimated; how long they took, it told."
            ),
        ),
    ]


def _path(row: Row) -> str:
    return f"/requests/{percent(row['trace_id'], safe='')}"
