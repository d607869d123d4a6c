"""What `penstock routes plan` prints for people, from its JSON."""

import time
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

_TENANTS = 3  # that a limit names
_NONE = "–"


def drawn(answer: dict[str, Any]) -> RenderableType:
    """The whole answer: who moves, what that costs, what is refused, and what isn't known."""
    pieces: list[RenderableType] = [_title(answer)]
    pieces += [_moves(each) for each in answer["users"]]
    pieces.append(_load(answer["load"]))
    if answer["limits"]:
        pieces.append(_limits(answer["limits"]))
    if answer["rematched"]:
        pieces.append(_rematched(answer["rematched"]))
    if answer["refused"]:
        pieces.append(_doubts(answer["refused"], "reason", "would be refused"))
    if answer["undetermined"]:
        pieces.append(_doubts(answer["undetermined"], "missing", "can't be placed; missing is"))
    return Group(*(Padding(piece, (0, 0, 1, 0)) for piece in pieces))


def _title(answer: dict[str, Any]) -> Text:
    first, last = (time.strftime("%F %T", time.localtime(answer[n])) for n in ("since", "until"))
    title = Text("routes ")
    title.append(answer["revision"], "bold")
    title.append(f"\n{answer['records']:,} recorded requests, {first} to {last}")
    title.append("\n± is half of a 95 % interval", "dim")
    return title


def _moves(route: dict[str, Any]) -> Table:
    moved = route["moved"]
    table = _table(
        f"{_route(route['route'])}: {_percent(moved)} of its users get another arm"
        f" ({_percent(moved, 'low')} to {_percent(moved, 'high')})",
        "from",
        "to",
    )
    table.add_column("users", justify="right")
    for each in route["matrix"]:
        style = "" if each["from"] == each["to"] else "bold"
        table.add_row(Text(each["from"]), Text(each["to"], style), _figure(each["users"]))
    return table


def _load(loads: list[dict[str, Any]]) -> Table:
    table = _table("Load, a second: before → after", "route", "arm", "model")
    for name in ("requests", "rows", "devices busy"):
        table.add_column(name, justify="right")
    for each in loads:
        figures = [
            f"{_of(each['before'], name)} → {_of(each['after'], name)}"
            for name in ("requests", "rows", "device_seconds")
        ]
        if each["after"] and each["after"]["assumed"]:
            figures[-1] += " *"
        version = each["version"] or "newest"
        route, arm = Text(_route(each["route"])), Text(each["arm"])
        table.add_row(route, arm, Text(f"{each['model']} {version}"), *figures)
    if any(each["after"] and each["after"]["assumed"] for each in loads):
        table.caption = "* not measured on this model version, but on those that served"
    return table


def _limits(limits: list[dict[str, Any]]) -> Table:
    table = _table("Limits, requests a second that they refuse", "route", "per", "limit", "mode")
    table.add_column("refused", justify="right")
    table.add_column("most of it")
    for each in limits:
        fires = bool(each["by_tenant"])
        tenants = ", ".join(
            f"{tenant['tenant']} {tenant['requests']['estimate']:.3g}"
            for tenant in each["by_tenant"][:_TENANTS]
        )
        table.add_row(
            Text(_route(each["route"])),
            each["per"],
            each["limit"],
            each["mode"],
            Text(_figure(each["refused"]) if fires else "none", "bold" if fires else "dim"),
            Text(tenants),
        )
    return table


def _rematched(found: list[dict[str, Any]]) -> Table:
    table = _table("Requests a second that take another route", "from", "to")
    table.add_column("requests", justify="right")
    for each in found:
        table.add_row(Text(each["from"]), Text(each["to"]), _figure(each["requests"]))
    return table


def _doubts(found: list[dict[str, Any]], name: str, what: str) -> Table:
    table = _table(f"Requests a second that {what}", "")
    table.add_column("requests", justify="right")
    for each in found:
        table.add_row(Text(each[name]), _figure(each["requests"]))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        caption_justify="left",
        box=None,
        header_style="dim",
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for column in columns:
        table.add_column(column)
    return table


def _route(name: str) -> str:
    return name or "(no route)"


def _of(load: dict[str, Any] | None, name: str) -> str:
    return _NONE if load is None else _figure(load[name])


def _figure(interval: dict[str, float]) -> str:
    reach = interval["high"] - interval["estimate"]
    return f"{interval['estimate']:.4g}" + (f" ±{reach:.2g}" if reach > 0 else "")


def _percent(interval: dict[str, float], which: str = "estimate") -> str:
    return f"{100 * interval[which]:.1f} %"
