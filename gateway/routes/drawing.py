"""What `penstock routes explain` prints for people, from the JSON of an explanation."""

from pathlib import PurePath
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text


def drawn(answer: dict[str, Any]) -> RenderableType:
    """The whole answer: first what happens, then why, then what the route says besides."""
    pieces: list[RenderableType] = [_title(answer), _arms(answer)]
    if answer["rules"]:
        pieces.append(_rules(answer["rules"]))
    if answer["policies"]:
        pieces.append(_pairs(answer))
    if not answer["endpoints_known"]:
        pieces.append(Text("No gateway was asked: what serves is not known.", style="dim"))
        if answer["rollout"]:
            pieces.append(Text("Nor how far the rollout is; a new one begins at 0.", style="dim"))
    return Group(*(Padding(piece, (0, 0, 1, 0)) for piece in pieces))


def _title(answer: dict[str, Any]) -> Text:
    title = Text()
    if answer["route"] is None:
        title.append(answer["model"], "bold")
        title.append(" has no route here and is served by its own name")
    else:
        title.append("route ")
        title.append(answer["route"], "bold")
    title.append(f"\n{_how(answer)}")
    if answer["fallback_from"]:
        title.append(f"; {answer['fallback_from']}, whose request it is, can't serve")
    if answer["target"]:
        target = answer["target"]
        title.append(f"\nmodel {target['model']} version {target['version'] or '(newest ready)'}")
    if answer["problem"]:
        title.append(f"\n{answer['problem']}", "bold red")
    return title


def _how(answer: dict[str, Any]) -> str:
    arm = answer["arm"]
    match answer["chosen_by"]:
        case "refused":
            return "refused"
        case "chance":
            return "the arm is drawn by chance for each request: no user is named"
        case "sticky":
            reason = f"by the hash of the request's {answer['policies']['sticky']['key']}"
        case "pin":
            reason = "by the version that the request names"
        case _:
            reason = "the only arm that gets requests"
    return f"arm {arm}: {reason}" if arm else f"no arm serves: {reason}"


def _arms(answer: dict[str, Any]) -> Table:
    table = _table("", "arm", "share", "model", "version", "serves", "instances")
    for each in answer["arms"]:
        chosen = each["name"] == answer["arm"]
        table.add_row(
            "→" if chosen else "",
            Text(each["name"], "bold" if chosen else ""),
            f"{each['share']:.4g} %",
            Text(each["model"]),
            Text(each["version"] or "newest"),
            Text(each["serves"] or ("nothing" if answer["endpoints_known"] else "?")),
            Text(", ".join(f"{i['instance']} {i['state']}" for i in each["instances"])),
        )
    return table


def _rules(rules: list[dict[str, Any]]) -> RenderableType:
    table = _table("", "rule", "route", "how specific", "")
    others = 0
    for each in rules:
        if not each["of_model"]:
            others += 1
            continue
        table.add_row(
            Text("✓", "green") if each["won"] else Text("✗", "dim"),
            Text(f"{PurePath(each['source']).name}:{each['line']}", overflow="fold"),
            Text(each["route"]),
            each["specificity"],
            Text(each["reason"], "" if each["won"] else "dim"),
        )
    if not others:
        return table
    rest = Text(f"{others} rule{'s' if others > 1 else ''} of other models", "dim")
    return Group(table, rest) if table.row_count else rest


def _pairs(answer: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column()
    for name, value in answer["policies"].items():
        table.add_row(name.replace("_", " "), Text(_written(value)))
    for mirror in answer["mirrors"]:
        target = f"{mirror['model']}/{mirror['version'] or 'newest'}"
        table.add_row("mirror", Text(f"{mirror['percent']:g} % to {mirror['backend']}, {target}"))
    rollout = answer["rollout"]
    if rollout is not None:
        known = f", {rollout['id']}" if rollout["id"] else ""
        table.add_row("rollout", Text(f"of {rollout['candidate']}{known}"))
    return table


def _written(value: Any) -> str:
    if isinstance(value, dict):
        given = {key: each for key, each in value.items() if each not in (None, "")}
        return (
            ", ".join(f"{key.replace('_', ' ')} {_written(v)}" for key, v in given.items()) or "-"
        )
    if isinstance(value, list):
        return "; ".join(map(_written, value)) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column)
    return table
