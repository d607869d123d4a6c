"""Which routes have mirrored requests, and the report on each."""

from collections.abc import Sequence
from urllib.parse import quote as percent

from gateway.console import figures
from gateway.console.frame import empty, heading, live, unseen
from gateway.console.history import History
from gateway.reports.markup import Child, Markup, element, foreign, visible
from gateway.reports.tables import note, table

_OUTCOMES = ("compared", "failed", "primary_failed", "incomparable", "dropped")


def shadow_page(routes: Sequence[str] | str, history: History) -> list[Markup]:
    """`routes` have records of mirrored requests; or why that isn't known."""
    if isinstance(routes, str):
        reports: Markup = empty(routes)
    elif routes:
        rows: list[list[Child]] = [[foreign(each), _links(each)] for each in routes]
        reports = table("Reports on mirrored requests", ("Route", "Reports"), rows)
    else:
        reports = empty("Nothing has been mirrored. A route’s `mirror` makes copies.")
    return [
        heading("Shadow", "What candidates answered to copies of requests; nobody saw it."),
        live("reports", reports, note("A report is made in a process of its own when you ask.")),
        live("mirrors", _counts(history)),
    ]


def _links(route: str) -> Markup:
    where = f"/shadow/report?route={percent(route, safe='')}"
    hidden = unseen(f" on {visible(route)}")
    links = [
        element("a", said, hidden, href=f"{where}&since={since}")
        for said, since in (("last hour", "1h"), ("24 hours", "24h"), ("7 days", "7d"))
    ]
    return element("span", *links, class_="links")


def _counts(history: History) -> Markup | None:
    found = history.table("penstock_mirrored")
    if not found:
        return None
    mirrors: dict[tuple[str, str], dict[str, float]] = {}
    for (mirror, outcome, route), value in found.items():
        mirrors.setdefault((route, mirror), {})[outcome] = value
    rows: list[list[Child]] = [
        [
            foreign(route),
            foreign(mirror),
            *(figures.whole(outcomes.get(each, 0.0)) for each in _OUTCOMES),
        ]
        for (route, mirror), outcomes in sorted(mirrors.items())
    ]
    columns = ("Route", "Mirror", *(each.replace("_", " ").capitalize() for each in _OUTCOMES))
    return table("Copies since this gateway started, by outcome", columns, rows, "cards figures")
