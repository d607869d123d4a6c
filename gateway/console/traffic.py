"""What is asked for: all requests, and those of each route and arm."""

import asyncio

from gateway.console import figures
from gateway.console.alarms import FAILING
from gateway.console.frame import empty, live, section
from gateway.console.history import History
from gateway.console.samples import MOST_SERIES, Key, Rates
from gateway.reports.markup import Child, Markup, element, foreign, joined
from gateway.reports.tables import note, table

_ROWS_A_TURN = 10


class Traffic:
    """Two parts of the first page, drawn once for each sample however many people look.

    A row takes some 0.1 ms of a loop that may also serve requests, so it stops between rows.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._drawing = asyncio.Lock()
        self._sample = -1
        self._parts: tuple[Markup, ...] = ()

    async def parts(self) -> tuple[Markup, ...]:
        history = self._history
        async with self._drawing:
            if self._sample != (sample := history.taken):
                headline = live("headline", _headline(history))
                said = element("p", "last minute", class_="aside")
                content = section("Traffic", await _table(history), aside=said)
                self._sample, self._parts = sample, (headline, live("traffic", content))
            return self._parts


def _headline(history: History) -> Markup:
    now = history.rates(None)
    failing = "bad" if now.failures >= FAILING else ""
    tiles = (
        ("Requests", figures.rate(now.requests), "a second", lambda each: each.requests, ""),
        ("Failures", figures.share(now.failures), "of requests, 5xx", _failures, failing),
        ("Median", figures.duration(now.p50), "to the last byte", lambda each: each.p50, ""),
        (
            "99th percentile",
            figures.duration(now.p99),
            "to the last byte",
            lambda each: each.p99,
            "",
        ),
    )
    items = [
        element(
            "div",
            element("dt", name),
            element(
                "dd",
                element("strong", value),
                element("span", unit, class_="unit"),
                figures.sparkline(history.line(of), f"{name} over the last ten minutes", tone),
            ),
            class_=tone or None,
        )
        for name, value, unit, of, tone in tiles
    ]
    title = element("h2", "All requests", class_="unseen")
    return element("section", title, element("dl", *items, class_="tiles"))


def _failures(rates: Rates) -> float:
    return rates.failures


async def _table(history: History) -> Markup:
    keys = history.busy()
    if not keys:
        return empty("No requests in the last ten minutes.")
    rows = []
    for key, before in zip(keys, [None, *keys], strict=False):
        rows.append(_row(history, key, before))
        if len(rows) % _ROWS_A_TURN == 0:
            await asyncio.sleep(0)
    columns = (
        "Route",
        "Arm",
        "Model",
        "Requests/s",
        "10 minutes",
        "Failed",
        "Refused",
        "p50",
        "p99",
    )
    drawn = table("Requests by route, arm and model", columns, rows, "cards figures")
    if len(keys) < MOST_SERIES:
        return drawn
    return joined(drawn, note(f"The {MOST_SERIES} busiest; `GET /metrics` tells of all."))


def _row(history: History, key: Key, before: Key | None) -> list[Child]:
    now = history.rates(key)
    named = foreign(key.route) if key.route else element("span", "no route", class_="dim")
    same = before is not None and before.route == key.route
    return [
        element("span", named, class_="again") if same else named,
        foreign(key.arm) if key.arm else figures.ABSENT,
        foreign(key.model),
        figures.rate(now.requests),
        figures.sparkline(
            history.requests(key),
            f"Requests a second over ten minutes, now {figures.rate(now.requests)}",
        ),
        element("span", figures.share(now.failures), class_="bad") if now.failures else "0 %",
        figures.share(now.refusals),
        figures.duration(now.p50),
        figures.duration(now.p99),
    ]
