"""`penstock shadow`: what mirrored requests say about a candidate."""

import time
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError

from gateway.config import Config, load_config
from gateway.reports.encode import encode
from gateway.reports.html import page
from gateway.reports.markup import visible
from gateway.reports.text import plain, show
from gateway.routes.folder import load_folder
from gateway.store.engine import StoreError, open_store
from protos.errors import Kind, PenstockError, invalid
from protos.quantities import seconds
from protos.strict_yaml import ConfigError
from routing.shadow.record import PairRecord
from routing.shadow.report import Report, build_reports
from routing.shadow.verdict import Criteria, criteria_of
from routing.shadow.wording import count

_TOLD_EVERY = 5000  # records

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Shadow traffic: what candidates answered to copies of requests.",
)


class Format(StrEnum):
    """`text` is for people at a terminal, `html` for everybody else, `json` for programs."""

    text = "text"
    json = "json"
    html = "html"


@app.callback()
def shadow() -> None:
    """A group, also while it has one command."""


@app.command()
def report(
    route: Annotated[str, typer.Option(help="The route whose mirrors are reported on.")],
    mirror: Annotated[
        str | None, typer.Option(help="One mirror, by its `backend` name; otherwise all.")
    ] = None,
    since: Annotated[str, typer.Option(metavar="DURATION", help="Such as 30m, 24h or 7d.")] = "24h",
    form: Annotated[Format, typer.Option("--format", help="How it is written.")] = Format.text,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Writes to the file instead.")
    ] = None,
    file: Annotated[Path, typer.Option("--config", metavar="FILE", help="penstock.yaml")] = Path(
        "penstock.yaml"
    ),
) -> None:
    """Says whether a mirrored candidate may be promoted, and on what evidence.

    The status is 1 when there are no records to report on, whatever the verdict otherwise is.
    """
    try:
        period = seconds(since)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from None
    if not period:
        raise typer.BadParameter("must be more than zero", param_hint="--since")
    config = load_config(file)
    console = Console(stderr=True, highlight=False)
    criteria = _criteria(config, route, console)
    reports, others = _read(config, route, mirror, time.time(), period, criteria, console)
    if not reports:
        console.print(_nothing(route, mirror, since, others), markup=False)
        raise typer.Exit(1)
    _write(reports, form, output)


def _criteria(config: Config, route: str, console: Console) -> Criteria:
    """The bounds of the route's rollout, if it has one."""
    if config.routes is None:
        return Criteria()
    try:
        documents = load_folder(config.routes, policies=frozenset())
    except ConfigError as error:
        console.print(
            f"The routes can’t be read, so the default bounds hold: {error}", markup=False
        )
        return Criteria()
    found = next((each.route for each in documents.routes if each.name == route), None)
    if found is None or found.spec.rollout is None:
        return Criteria()
    return criteria_of(found.spec.rollout.analysis)


def _read(
    config: Config,
    route: str,
    mirror: str | None,
    now: float,
    period: float,
    criteria: Criteria,
    console: Console,
) -> tuple[tuple[Report, ...], list[str]]:
    """The reports; without any, the names of routes that there are records of."""
    try:
        store = open_store(config.store_url.render_as_string(hide_password=False))
        try:
            records = store.pairs.read(route, mirror=mirror, since=now - period, until=now)
            reports = build_reports(
                _told(records, console),
                route=route,
                mirror=mirror,
                now=now,
                since=now - period,
                criteria=criteria,
                rng=Random(0),  # noqa: S311 - the same records make the same report
            )
            return reports, [] if reports else sorted(store.pairs.routes())
        finally:
            store.close()
    except StoreError as error:
        raise PenstockError(Kind.UNAVAILABLE, str(error)) from None
    except SQLAlchemyError as error:
        # Not the error's own text, which may quote a statement's parameters.
        cause = type(getattr(error, "orig", None) or error).__name__
        message = f"the record store can’t be read ({cause})"
        raise PenstockError(Kind.UNAVAILABLE, message) from error


def _told(records: Iterable[PairRecord], console: Console) -> Iterator[PairRecord]:
    """The records, while a terminal is told how many were read."""
    with console.status("reading the records") as status:
        for number, record in enumerate(records, start=1):
            if number % _TOLD_EVERY == 0:
                status.update(f"{count(number)} records read")
            yield record


def _nothing(route: str, mirror: str | None, since: str, others: list[str]) -> str:
    what = f"route {visible(route)}" + (f", mirror {visible(mirror)}" if mirror else "")
    lines = [f"Nothing was mirrored in the last {since} for {what}."]
    if route in others:
        lines.append("There are older records, or others of this route: try a longer --since.")
    elif others:
        lines.append(f"There are records of: {', '.join(visible(name) for name in others)}.")
    else:
        lines.append("The store holds no records at all: a route’s `mirror` makes them.")
    return "\n".join(lines)


def _write(reports: tuple[Report, ...], form: Format, output: Path | None) -> None:
    if form is Format.text and output is None:
        show(reports, Console())
        return
    written = {Format.text: plain, Format.json: encode, Format.html: page}[form](reports)
    if output is None:
        print(written)
        return
    try:
        output.write_text(written, encoding="utf-8")
    except OSError as error:
        raise invalid(f"--output {output}: {error.strerror or 'cannot be written'}") from None
