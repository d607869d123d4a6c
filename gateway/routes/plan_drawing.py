"""What `penstock routes plan` prints for people, from its JSON."""

import time
from typing import Any, Literal

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gateway.reports.markup import visible
from routing.backtest.users import BY_CHANCE

_TENANTS = 3  # that a limit names
_NONE = "–"
_LEAST = 0.001  # that is written as a number
_FIGURES = (("requests", "requests"), ("rows", "rows"), ("devices", "device_seconds"))


def drawn(answer: dict[str, Any]) -> RenderableType:
    """The whole answer: who moves, what that costs, what is refused, and what isn't known."""
    pieces: list[RenderableType] = [_title(answer)]
    pieces += [_moves(each, answer) for each in answer["users"]]
    if answer["load"]:
        pieces.append(_load(answer["load"]))
    if answer["limits"]:
        pieces.append(_limits(answer["limits"]))
    if answer["rematched"]:
        pieces.append(_rematched(answer["rematched"]))
    if answer["refused"]:
        pieces.append(_reasons(answer["refused"], "reason", "would be refused, and are not now"))
    if answer["undetermined"]:
        pieces.append(_reasons(answer["undetermined"], "missing", "can't be placed; missing is"))
    if answer["unserved"]["estimate"]:
        pieces.append(_unserved(answer["unserved"]))
    return Group(*(piece for each in pieces for piece in (each, Text())))


def _title(answer: dict[str, Any]) -> RenderableType:
    first, last = (time.strftime("%F %T", time.localtime(answer[n])) for n in ("since", "until"))
    title = Text("routes ")
    title.append(answer["revision"], "bold")
    if _same(answer):
        title.append(", which are in force")
    else:
        title.append(f" instead of {answer['in_force']}, which are in force")
    lines = [title, Text(f"{_counted(answer['records'], 'recorded request')}, {first} to {last}")]
    if answer["elsewhere"]:
        made = f"{answer['elsewhere']:,} of them were made under other routes;"
        lines.append(Text(f"{made} all are replayed through both"))
    if answer["complete"]:
        lines.append(Text("all requests were recorded: the figures are counts", "dim"))
    else:
        lines.append(Text("from a sample: (low–high) is a 95 % interval", "dim"))
    return Group(*map(_unwrapped, lines))


def _moves(route: dict[str, Any], answer: dict[str, Any]) -> RenderableType:
    table = _table("from", "to", users="right")
    for each in route["matrix"]:
        style = "" if each["from"] == each["to"] else "bold"
        table.add_row(Text(each["from"]), Text(each["to"], style), _users(each["users"]))
    return _block(f"{_route(route['route'])}: {_moved(route, answer)}", table)


def _moved(route: dict[str, Any], answer: dict[str, Any]) -> str:
    moved, users = route["moved"], route["users"]
    if (moved["low"], moved["high"]) == (0.0, 1.0):
        if {each[end] for each in route["matrix"] for end in ("from", "to")} == {BY_CHANCE}:
            return "every request draws its arm anew, so nobody has one to be moved from"
        return "it isn't known how many of its users get another arm"
    whose = f"of its {_users(users, ranged=False)} users"
    if users["estimate"] == 1:
        return "its only user " + ("gets another arm" if moved["estimate"] else "keeps the arm")
    if not moved["estimate"]:
        unsure = moved["high"] > 0 and not _same(answer)
        return f"none {whose} gets another arm" + f" (to {_percent(moved['high'])})" * unsure
    between = f" ({_percent(moved['low'])}–{_percent(moved['high'])})" * _is_unsure(moved)
    return f"{_percent(moved['estimate'])}{between} {whose} get another arm"


def _load(loads: list[dict[str, Any]]) -> RenderableType:
    table = _table("route", "arm", "model", "", before="right", after="right")
    assumed = False
    for each in loads:
        version = each["version"] or "newest"
        names = [_route(each["route"]), each["arm"], visible(f"{each['model']} {version}")]
        for name, key in _FIGURES:
            cells = [_of(each[when], key) for when in ("before", "after")]
            if key == "device_seconds":
                stars = [each[when] and each[when]["assumed"] for when in ("before", "after")]
                cells = [
                    f"{cell} *" if star else cell for cell, star in zip(cells, stars, strict=True)
                ]
                assumed = assumed or any(stars)
            same = cells[0] == cells[1]
            table.add_row(*map(Text, names), name, cells[0], Text(cells[1], "dim" if same else ""))
            names = ["", "", ""]
    note = "* not measured on this model version, but on those that served these requests"
    return _block(
        "Load: requests and rows a second, devices that are busy with them",
        table,
        note if assumed else "",
    )


def _limits(limits: list[dict[str, Any]]) -> RenderableType:
    table = _table("route", "per", "limit", "mode", before="right", after="right", mostly="left")
    for each in limits:
        fired = each["after"] or each["before"]
        tenants = ", ".join(
            f"{visible(tenant['tenant'])} {_number(tenant['requests']['estimate'])}"
            for tenant in fired["by_tenant"][:_TENANTS]
        )
        row = _route(each["route"]), each["per"], each["limit"], each["mode"]
        table.add_row(*map(Text, row), _fired(each["before"]), _fired(each["after"]), Text(tenants))
    sides = [each[when] for each in limits for when in ("before", "after") if each[when]]
    note = "* requests of which too little is recorded are not counted"
    return _block(
        "Limits, and the requests a second that they refuse",
        table,
        note if any(map(_is_partly_known, sides)) else "",
    )


def _fired(side: dict[str, Any] | None) -> Text:
    if side is None:
        return Text(_NONE, "dim")
    partly = _is_partly_known(side)
    star = " *" if partly else ""
    if side["by_tenant"]:
        return Text(_figure(side["refused"]) + star, "bold")
    return Text(("not known" if partly else "none") + star, "dim")


def _is_partly_known(side: dict[str, Any]) -> bool:
    return bool(side["undetermined"]["estimate"])


def _rematched(found: list[dict[str, Any]]) -> RenderableType:
    table = _table("from", "to", requests="right")
    for each in found:
        table.add_row(Text(each["from"]), Text(each["to"]), _figure(each["requests"]))
    return _block("Requests a second that take another route", table)


def _reasons(found: list[dict[str, Any]], name: str, what: str) -> RenderableType:
    table = _table("", requests="right")
    for each in found:
        table.add_row(Text(visible(each[name])), _figure(each["requests"]))
    return _block(f"Requests a second that {what}", table)


def _unserved(rate: dict[str, float]) -> RenderableType:
    what = "requests a second ask for models or versions that there aren't"
    return _unwrapped(Text(f"{_figure(rate)} {what}: refused as before, and no load", "dim"))


def _block(title: str, table: Table, note: str = "") -> RenderableType:
    notes = [_unwrapped(Text(f"  {note}", "dim"))] if note else []
    return Group(
        _unwrapped(Text(title, "bold")), Padding(table, (0, 0, 0, 2), expand=False), *notes
    )


def _unwrapped(line: Text) -> Text:
    """A sentence is one line, also where the output is a file and is taken to be 80 wide."""
    line.no_wrap, line.overflow = True, "ignore"
    return line


def _table(*columns: str, **others: Literal["left", "right"]) -> Table:
    """Without lines; `others` are columns with how they are justified."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column)
    for column, justify in others.items():
        table.add_column(column, justify=justify)
    return table


def _same(answer: dict[str, Any]) -> bool:
    return bool(answer["revision"] == answer["in_force"])


def _route(name: str) -> str:
    return name or "(no route)"


def _of(load: dict[str, Any] | None, name: str) -> str:
    return _NONE if load is None else _figure(load[name])


def _figure(interval: dict[str, float]) -> str:
    estimate, low, high = (_number(interval[name]) for name in ("estimate", "low", "high"))
    if not _is_unsure(interval) or estimate == low == high:
        return estimate
    return f"{estimate} (to {high})" if low == estimate else f"{estimate} ({low}–{high})"


def _users(interval: dict[str, float], *, ranged: bool = True) -> str:
    """Users are whole, and so is what is written of them."""
    estimate, low, high = (f"{round(interval[name]):,}" for name in ("estimate", "low", "high"))
    return f"{estimate} ({low}–{high})" if ranged and low != high else estimate


def _is_unsure(interval: dict[str, float]) -> bool:
    return interval["low"] < interval["high"]


def _number(value: float) -> str:
    if 0 < value < _LEAST:
        return f"less than {_LEAST:g}"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}"


def _percent(share: float) -> str:
    least = 0 < share < _LEAST
    return f"less than {100 * _LEAST:.1f} %" if least else f"{100 * share:.1f} %"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
