"""What tenants have used and which limits stopped them."""

from collections.abc import Sequence

from gateway.console import figures
from gateway.console.frame import empty, heading, live, section, state
from gateway.console.history import History
from gateway.reports.markup import Child, Markup, element, foreign
from gateway.reports.tables import note, table
from gateway.rules import Rules
from gateway.usage.value import Usage

SHOWN = 200  # rows


def usage_page(
    found: Sequence[Usage] | str, since: str, history: History, rules: Rules
) -> list[Markup]:
    """`found` is this month's by tenant and model, or why it isn't known."""
    if isinstance(found, str):
        used: Markup = empty(found)
    elif found:
        ordered = sorted(found, key=lambda each: (-each.device_seconds, each.tenant, each.model))
        columns = (
            *("Tenant", "Model", "Requests", "Rows", "Prompt tokens", "Completion tokens"),
            "Device time",
        )
        rows = [_row(each) for each in ordered[:SHOWN]]
        used = table("Usage by tenant and model", columns, rows, "cards figures")
    else:
        used = empty("Nothing has been used yet.")
    more = None
    if not isinstance(found, str) and len(found) > SHOWN:
        more = note(f"The first {SHOWN} of {len(found):,}; `penstock usage` lists all.")
    return [
        heading("Usage"),
        live(
            "used", section("By tenant", used, more, aside=_aside(f"since {since}, all replicas"))
        ),
        live(
            "limited",
            section("Over a limit", _limited(history), aside=_aside("since this gateway started")),
        ),
        live("limits", section("Limits in force", _limits(rules))),
    ]


def _aside(text: str) -> Markup:
    return element("p", text, class_="aside")


def _row(each: Usage) -> list[Child]:
    return [
        foreign(each.tenant),
        foreign(each.model),
        figures.whole(each.requests),
        figures.whole(each.rows),
        figures.whole(each.prompt_tokens),
        figures.whole(each.completion_tokens),
        figures.duration(each.device_seconds) if each.device_seconds else "0",
    ]


def _limited(history: History) -> Markup:
    found = history.table("penstock_limited")
    if not any(found.values()):
        return empty("No request has been over a limit.")
    rows: list[list[Child]] = [
        [
            foreign(route),
            f"{counts} per {per}",
            state("bad", "refused") if mode == "enforce" else state("", "only counted"),
            figures.whole(value),
        ]
        for (counts, mode, per, route), value in sorted(found.items(), key=lambda each: -each[1])
        if value
    ]
    columns = ("Route", "Limit", "What happens", "Requests")
    return table("Requests over a limit, by route", columns, rows, "cards figures")


def _limits(rules: Rules) -> Markup:
    rows: list[list[Child]] = []
    for route in rules.keeper.table().snapshots():
        for limit in route.spec.limits:
            said = limit.model_dump(mode="json", by_alias=True, exclude_none=True)
            mode, per = said.pop("mode"), said.pop("per")
            if said.get("tenants") == ["*"]:
                del said["tenants"]
            rows.append(
                [
                    foreign(route.name),
                    per,
                    ", ".join(_said(name, value) for name, value in said.items()),
                    mode,
                ]
            )
    if not rows:
        return empty("No route limits anything.")
    return table("Limits of routes", ("Route", "Per", "Limit", "Mode"), rows, "cards")


def _said(name: str, value: object) -> str:
    shown = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"{name} {shown}"
