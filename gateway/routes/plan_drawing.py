"""What `penstock routes plan` prints for people, from its JSON."""

import time
from typing import Any, Literal

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gateway.reports.markup import visible

_TENANTS = 3  # that a limit names
_NONE = "–"
_FIGURES = (("requests", "requests"), ("rows", "rows"), ("devices busy", "device_seconds"))


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


def _moves(route: dict[str, Any]) -> RenderableType:
    moved = route["moved"]
    said = f"{_percent(moved)} ({_percent(moved, 'low')} to {_percent(moved, 'high')})"
    if (moved["low"], moved["high"]) == (0.0, 1.0):
        said = "it is not known how many"
    table = _table("from", "to", users="right")
    for each in route["matrix"]:
        style = "" if each["from"] == each["to"] else "bold"
        table.add_row(Text(each["from"]), Text(each["to"], style), _figure(each["users"]))
    return _block(f"{_route(route['route'])}: {said} of its users get another arm", table)


def _load(loads: list[dict[str, Any]]) -> RenderableType:
    table = _table("route", "arm", "model", "", before="right", after="right")
    assumed = False
    for each in loads:
        before, after = each["before"], each["after"]
        version = each["version"] or "newest"
        names = [_route(each["route"]), each["arm"], visible(f"{each['model']} {version}")]
        for name, key in _FIGURES:
            star = " *" if after and after["assumed"] and key == "device_seconds" else ""
            assumed = assumed or bool(star)
            table.add_row(*map(Text, names), name, _of(before, key), _of(after, key) + star)
            names = ["", "", ""]
    note = "* not measured on this model version, but on those that served these requests"
    return _block("Load, a second", table, note if assumed else "")


def _limits(limits: list[dict[str, Any]]) -> RenderableType:
    table = _table("route", "per", "limit", "mode", refused="right", most="left")
    for each in limits:
        fires = bool(each["by_tenant"])
        tenants = ", ".join(
            f"{visible(tenant['tenant'])} {tenant['requests']['estimate']:.3g}"
            for tenant in each["by_tenant"][:_TENANTS]
        )
        refused = Text(_figure(each["refused"]) if fires else "none", "bold" if fires else "dim")
        row = (_route(each["route"]), each["per"], each["limit"], each["mode"])
        table.add_row(*map(Text, row), refused, Text(tenants))
    return _block("Limits, and the requests a second that they would refuse", table)


def _rematched(found: list[dict[str, Any]]) -> RenderableType:
    table = _table("from", "to", requests="right")
    for each in found:
        table.add_row(Text(each["from"]), Text(each["to"]), _figure(each["requests"]))
    return _block("Requests a second that take another route", table)


def _doubts(found: list[dict[str, Any]], name: str, what: str) -> RenderableType:
    table = _table("", requests="right")
    for each in found:
        table.add_row(Text(visible(each[name])), _figure(each["requests"]))
    return _block(f"Requests a second that {what}", table)


def _block(title: str, table: Table, note: str = "") -> RenderableType:
    pieces: list[RenderableType] = [Text(title, "bold"), Padding(table, (0, 0, 0, 2))]
    return Group(*pieces, *([Text(f"  {note}", "dim")] if note else []))


def _table(*columns: str, **others: Literal["left", "right"]) -> Table:
    """Without lines; `others` are columns with how they are justified."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column)
    for column, justify in others.items():
        table.add_column(column, justify=justify)
    return table


def _route(name: str) -> str:
    return name or "(no route)"


def _of(load: dict[str, Any] | None, name: str) -> str:
    return _NONE if load is None else _figure(load[name])


def _figure(interval: dict[str, float]) -> str:
    reach = interval["high"] - interval["estimate"]
    return _number(interval["estimate"]) + (f" ±{_number(reach)}" if reach > 0 else "")


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}"


def _percent(interval: dict[str, float], which: str = "estimate") -> str:
    return f"{100 * interval[which]:.1f} %"
