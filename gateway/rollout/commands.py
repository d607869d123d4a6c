"""`penstock rollout`: how far rollouts are, and what a person does to them."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway.command import DEFAULT_FILE, File, Json, Offset, ask
from gateway.reports.markup import visible
from protos.errors import Kind, PenstockError, invalid
from protos.wording import did_you_mean, quote

app = typer.Typer(no_args_is_help=True, help="Rollouts of the routes behind a running gateway.")

Argument = Annotated[str, typer.Argument(metavar="ROUTE", help="The route's name.")]
Option = Annotated[str, typer.Option("--route", metavar="ROUTE", help="The same as an option.")]

_STYLES = {
    "progressing": "cyan",
    "waiting": "yellow",
    "paused": "yellow",
    "held": "bold yellow",
    "completed": "green",
    "rolled_back": "bold red",
    "aborted": "red",
    "pass": "green",
    "inconclusive": "yellow",
    "fail": "bold red",
}
_LONGEST = 1000  # characters of a sentence; findings have figures
_MARKS = {"pass": "✓", "fail": "✗", "inconclusive": "?"}


@app.command()
def status(
    route: Argument = "",
    option: Option = "",
    file: File = DEFAULT_FILE,
    port_offset: Offset = None,
    as_json: Json = False,
) -> None:
    """Shows steps, weights, what the evidence says, and who did what."""
    answer = ask(file, port_offset, lambda client: client.rollouts())
    wanted = _one(route, option, needed=False)
    rows = answer["rollouts"]
    if wanted:
        known = [row["route"] for row in rows]
        if wanted not in known:
            raise PenstockError(
                Kind.NOT_FOUND,
                f"no rollout of a route {quote(wanted)}{did_you_mean(wanted, known)}",
            )
        rows = [row for row in rows if row["route"] == wanted]
    if as_json:
        print(json.dumps({**answer, "rollouts": rows}, indent=2))
        return
    console = Console()
    if answer["problem"]:
        problem = f"rollouts can't be looked at: {_sentence(answer['problem'])}"
        console.print(Text(problem, "bold red"))
    if not rows:
        console.print("no route has a rollout")
    for row in rows:
        console.print(drawn(row), soft_wrap=False)


@app.command()
def pause(
    route: Argument = "",
    option: Option = "",
    file: File = DEFAULT_FILE,
    port_offset: Offset = None,
) -> None:
    """Stops a rollout where it is; the candidate keeps its weight, and harm still ends it."""
    _act(_one(route, option), "pause", file, port_offset)


@app.command()
def resume(
    route: Argument = "",
    option: Option = "",
    file: File = DEFAULT_FILE,
    port_offset: Offset = None,
) -> None:
    """Goes on: after a pause where it was, from where it waits or is held to the next step."""
    _act(_one(route, option), "resume", file, port_offset)


@app.command()
def abort(
    route: Argument = "",
    option: Option = "",
    file: File = DEFAULT_FILE,
    port_offset: Offset = None,
) -> None:
    """Takes all requests from the candidate, for good."""
    _act(_one(route, option), "abort", file, port_offset)


def drawn(row: dict[str, Any]) -> RenderableType:
    """One rollout of the admin face's answer, for a terminal."""
    title = Text.assemble(
        (visible(row["route"]), "bold"),
        f"  {visible(row['candidate'])} against {visible(row['baseline'])}  ",
        (row["status"].replace("_", " "), _STYLES[row["status"]]),
        f"  {row['weight']:g} %",
        f", mirrors {row['mirror_percent']:g} %" if row["mirror_percent"] else "",
    )
    pieces: list[RenderableType] = [title]
    if row["steps"]:
        pieces.append(_strip(row))
    else:
        pieces.append(Text("  the route no longer asks for this rollout", style="dim"))
    pieces.append(Text(f"  {_sentence(row['reason'])}"))
    if row["now"]:
        pieces.append(Text(f"  now: {_sentence(row['now'])}"))
    if (seen := row["evidence"]) is not None:
        pieces.append(Text(f"  {_seen(seen)}", style="dim"))
    if row["findings"]:
        pieces.append(_findings(row["findings"]))
    pieces.extend((_history(row["history"]), Text()))
    return Group(*pieces)


def _sentence(text: str) -> str:
    """Without what a terminal would obey: reasons name people, as their tokens call them."""
    return visible(text, _LONGEST)


def _strip(row: dict[str, Any]) -> Text:
    """Step n of m; what is behind is dim, what runs is marked."""
    steps, now = row["steps"], row["step"]
    strip = Text(f"  step {now + 1} of {len(steps)}  ")
    for index, step in enumerate(steps):
        if index:
            strip.append(" → ", style="dim")
        if index == now:
            strip.append(f"[{step}]", style="bold")
        else:
            strip.append(step, style="dim" if index < now else "")
    return strip


def _seen(seen: dict[str, Any]) -> str:
    candidate, baseline, pairs = seen["candidate"], seen["baseline"], seen["pairs"]
    return (
        f"at this weight {candidate['requests']} requests with {candidate['errors']} errors"
        f" against {baseline['requests']} with {baseline['errors']};"
        f" {pairs['compared']} of {pairs['sampled']} mirrored ones compared"
    )


def _findings(findings: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2))
    for column in ("", "metric", "interval", "bound", "what it says"):
        table.add_column(column)
    for each in findings:
        ratio = each["metric"].startswith("latency")
        table.add_row(
            Text(_MARKS[each["verdict"]], style=_STYLES[each["verdict"]]),
            Text(visible(each["metric"])),
            f"{_figure(each['low'], ratio)} to {_figure(each['high'], ratio)}",
            _figure(each["bound"], ratio),
            Text(_sentence(each["reason"].removeprefix(f"{each['metric']}: ")), style="dim"),
        )
    return table


def _figure(value: float | None, ratio: bool) -> str:
    if value is None:
        return "∞"
    return f"×{value:.3g}" if ratio else f"{value * 100:+.2f} pp"


def _history(events: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2))
    for event in events:
        at = datetime.fromtimestamp(event["at"], UTC)
        table.add_row(
            Text(f"{at:%Y-%m-%d %H:%M:%S}Z", style="dim"),
            Text(visible(event["action"])),
            f"step {event['step'] + 1}, {event['weight']:g} %",
            Text(visible(event["actor"])),
            Text(_sentence(event["reason"]), style="dim"),
        )
    return table


def _one(route: str, option: str, *, needed: bool = True) -> str:
    if route and option and route != option:
        raise invalid(f"--route: names {quote(option)} beside {quote(route)}")
    if needed and not (route or option):
        raise typer.BadParameter("name the route", param_hint="ROUTE")
    return route or option


def _act(route: str, action: str, file: File, port_offset: Offset) -> None:
    row = ask(file, port_offset, lambda client: client.rollout_action(route, action))
    print(
        f"{visible(row['route'])}: {row['status'].replace('_', ' ')}, the candidate"
        f" {visible(row['candidate'])} has {row['weight']:g} %{_where(row)}"
    )


def _where(row: dict[str, Any]) -> str:
    """The step that an action led to: who repeats one sees that it led further."""
    steps, now = row["steps"], row["step"]
    return f", step {now + 1} of {len(steps)}: {visible(steps[now])}" if steps else ""
