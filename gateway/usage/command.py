"""`penstock usage`: what tenants have used, from the record store."""

import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.command import DEFAULT_FILE, File, load_settings, show
from gateway.usage.question import Question, as_csv, as_objects, question
from gateway.usage.value import UNITS, Usage
from protos.errors import Kind, PenstockError


class Format(StrEnum):
    TEXT = "text"
    CSV = "csv"
    JSON = "json"


def usage(
    since: Annotated[
        str, typer.Option(help="The first day (2026-11-01, UTC), or so many before today (30d).")
    ] = "",
    until: Annotated[str, typer.Option(help="The day before which it ends; likewise.")] = "",
    by: Annotated[
        str, typer.Option(help="What is told apart: day, tenant, model.")
    ] = "tenant,model",
    form: Annotated[Format, typer.Option("--format", help="How it is printed.")] = Format.TEXT,
    file: File = DEFAULT_FILE,
) -> None:
    """Sums up requests, rows, tokens and device-seconds; this month's, if nothing is said."""
    asked = question(since, until, by, time.time())
    found = _read(file, asked)
    if form is Format.CSV:
        sys.stdout.write(as_csv(found, asked.by))
        return
    columns = (*asked.by, *UNITS)
    values = as_objects(found, asked.by)
    table = [[str(row[column]) for column in columns] for row in values]
    show(values, table, columns, form is Format.JSON)


def _read(file: Path, asked: Question) -> list[Usage]:
    from sqlalchemy.exc import SQLAlchemyError

    from gateway.store.engine import open_store  # which the other commands don't need
    from gateway.store.failure import StoreError

    config = load_settings(file)
    try:
        store = open_store(config.store_url.render_as_string(hide_password=False), make=False)
        try:
            return store.usage.sum(since=asked.since, until=asked.until, by=asked.by)
        finally:
            store.close()
    except StoreError as error:
        raise PenstockError(Kind.UNAVAILABLE, f"store: {error}") from None
    except SQLAlchemyError as error:
        why = f"the record store doesn't answer ({type(error).__name__})"
        raise PenstockError(Kind.UNAVAILABLE, why) from error
