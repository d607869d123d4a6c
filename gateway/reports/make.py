"""Makes a report from the record store and writes it where it is wanted."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError

from gateway.config import Config
from gateway.reports.encode import encode
from gateway.reports.html import page
from gateway.reports.markup import visible
from gateway.reports.text import plain, show
from gateway.routes.folder import load_folder
from gateway.store.engine import open_store
from gateway.store.failure import StoreError
from protos.errors import Kind, PenstockError, invalid
from protos.strict_yaml import ConfigError
from routing.shadow.record import PairRecord
from routing.shadow.report import Report, build_reports
from routing.shadow.verdict import Criteria, criteria_of
from routing.shadow.wording import count

_TOLD_EVERY = 5000  # records


def bounds(config: Config, route: str, console: Console) -> Criteria:
    """The bounds of the route's rollout, if it has one."""
    if config.routes is None:
        return Criteria()
    try:
        documents = load_folder(config.routes)
    except ConfigError as error:
        console.print(
            f"The routes can’t be read, so the default bounds hold: {error}", markup=False
        )
        return Criteria()
    found = next((each.route for each in documents.routes if each.name == route), None)
    if found is None or found.spec.rollout is None:
        return Criteria()
    return criteria_of(found.spec.rollout.analysis)


def read(
    config: Config,
    route: str,
    mirror: str | None,
    now: float,
    period: float,
    criteria: Criteria,
    console: Console,
) -> tuple[tuple[Report, ...], list[str]]:
    """The reports on the last `period` seconds; without any, the routes that there are records of.

    Raises PenstockError when the store can't be read.
    """
    try:
        store = open_store(config.store_url.render_as_string(hide_password=False), make=False)
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
            return reports, [] if reports else store.pairs.routes()
        finally:
            store.close()
    except StoreError as error:
        raise PenstockError(Kind.UNAVAILABLE, str(error)) from None
    except SQLAlchemyError as error:
        # Not the error's own text, which may quote a statement's parameters.
        cause = type(getattr(error, "orig", None) or error).__name__
        message = f"the record store can’t be read ({cause})"
        raise PenstockError(Kind.UNAVAILABLE, message) from error


def nothing(route: str, mirror: str | None, since: str, others: list[str]) -> str:
    """What to say when there is nothing to report on; `others` are routes that have records."""
    what = f"route {visible(route)}" + (f", mirror {visible(mirror)}" if mirror else "")
    lines = [f"Nothing was mirrored in the last {since} for {what}."]
    if route in others:
        lines.append("There are older records, or others of this route: try a longer --since.")
    elif others:
        lines.append(f"There are records of: {', '.join(visible(name) for name in others)}.")
    else:
        lines.append("The store holds no records at all: a route’s `mirror` makes them.")
    return "\n".join(lines)


def write(reports: tuple[Report, ...], form: str, output: Path | None) -> None:
    """Writes them as text, JSON or HTML to a file, or else to standard output."""
    if form == "text" and output is None:
        show(reports, Console())
        return
    written = {"text": plain, "json": encode, "html": page}[form](reports)
    if output is None:
        print(written)
        return
    try:
        output.write_text(written, encoding="utf-8")
    except OSError as error:
        raise invalid(f"--output {output}: {error.strerror or 'cannot be written'}") from None


def _told(records: Iterable[PairRecord], console: Console) -> Iterator[PairRecord]:
    """The records, while a terminal is told how many were read."""
    with console.status("reading the records") as status:
        for number, record in enumerate(records, start=1):
            if number % _TOLD_EVERY == 0:
                status.update(f"{count(number)} records read")
            yield record
