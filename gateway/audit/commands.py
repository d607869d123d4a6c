"""`penstock audit`: whether the log is what was written, and what is in it."""

import json
import time
from collections import deque
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from gateway.audit.findings import Head, Report
from gateway.audit.read import Follower, Told, Wanted, as_json, records
from gateway.audit.seal import Seal, read_seal
from gateway.audit.verify import verify as verified
from gateway.command import DEFAULT_FILE, File, load_settings
from gateway.reports.markup import visible
from policies.audit import DECISIONS, Decision
from protos.errors import Kind, PenstockError, invalid
from protos.quantities import seconds
from protos.wording import did_you_mean, quote

app = typer.Typer(no_args_is_help=True, help="The audit log: sealed records of who did what.")

LOOK_INTERVAL = 0.5  # seconds between looks for what is new
_LONGEST = 8192  # characters of a line
_HIDDEN = frozenset({"n", "at", "what", "previous", "file", "line"})

Format = Annotated[Literal["text", "json"], typer.Option("--format", help="How it is printed.")]
Folder = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The log, if it isn't the configuration's.")
]
KeyFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The key, if it isn't the configuration's.")
]
Since = Annotated[str, typer.Option(help="Such as 2h for two hours ago, or 2026-11-21T08:00Z.")]
Until = Annotated[str, typer.Option(help="The same.")]
Tenant = Annotated[str, typer.Option(help="Only this tenant's.")]
Decided = Annotated[str, typer.Option(help=f"Only {', '.join(DECISIONS[:-1])} or {DECISIONS[-1]}.")]
What = Annotated[str, typer.Option(help="Only records of this kind: request, key, routes …")]


@app.command()
def verify(
    head: Annotated[
        list[str] | None,
        typer.Option(metavar="CHAIN:N:DIGEST", help="As a process's log has it; repeatable."),
    ] = None,
    folder: Folder = None,
    key_file: KeyFile = None,
    file: File = DEFAULT_FILE,
    format_: Format = "text",
) -> None:
    """Finds records that were changed, removed, reordered or cut off, and says where.

    Ends with status 1 if there are any, and where there is no log at all.
    """
    where, seal = _log(folder, key_file, file, sealed=True)
    try:
        report = verified(where, seal, [_head(each) for each in head or ()])
    except OSError as failure:
        raise _unreadable(where, failure) from failure
    if format_ == "json":
        print(_report_json(where, report))
    else:
        for finding in report.findings:
            print(f"{'' if finding.fault else 'note: '}{visible(str(finding), _LONGEST)}")
        for chain in report.chains:
            last = f"record {chain.next - 1}, digest {chain.digest}"
            print(f"{chain.name}: {chain.records} records, {chain.state}; {last}")
        faults = sum(each.fault for each in report.findings)
        print(f"{where}: {len(report.chains)} chains, {faults} faults")
    raise typer.Exit(0 if report.sound and report.chains else 1)


@app.command()
def show(
    since: Since = "",
    until: Until = "",
    tenant: Tenant = "",
    decision: Decided = "",
    what: What = "",
    folder: Folder = None,
    file: File = DEFAULT_FILE,
    format_: Format = "text",
) -> None:
    """Prints records in the order of their times."""
    where, _ = _log(folder, None, file)
    wanted = _wanted(since, until, tenant, decision, what)
    try:
        for record in records(where, wanted):
            print(_printed(record, format_))
    except OSError as failure:
        raise _unreadable(where, failure) from failure


@app.command()
def tail(
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many at first.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Goes on until Ctrl-C.")] = False,
    since: Since = "",
    tenant: Tenant = "",
    decision: Decided = "",
    what: What = "",
    folder: Folder = None,
    file: File = DEFAULT_FILE,
    format_: Format = "text",
) -> None:
    """Prints the newest records, and with --follow those that come."""
    where, _ = _log(folder, None, file)
    wanted = _wanted(since, "", tenant, decision, what)
    try:
        follower = Follower(where, wanted)
        for record in deque(records(where, wanted), maxlen=lines):
            print(_printed(record, format_))
        while follow:
            time.sleep(LOOK_INTERVAL)
            for record in follower.look():
                print(_printed(record, format_), flush=True)
    except KeyboardInterrupt:
        return
    except OSError as failure:
        raise _unreadable(where, failure) from failure


def _log(
    folder: Path | None, key_file: Path | None, file: Path, *, sealed: bool = False
) -> tuple[Path, Seal]:
    """The folder and, where records are to be verified, the seal."""
    config = None if folder is not None and (key_file or not file.exists()) else load_settings(file)
    key = key_file or (None if config is None else config.audit.key_file)
    where = folder or (Path() if config is None else config.audit_folder)
    return where, read_seal(key) if sealed else Seal()


def _unreadable(where: Path, failure: OSError) -> PenstockError:
    return PenstockError(Kind.NOT_FOUND, f"{where}: {failure.strerror or 'cannot be read'}")


def _head(text: str) -> Head:
    chain, _, rest = text.partition(":")
    number, _, digest = rest.partition(":")
    if not chain or not number.isdigit() or len(digest) != 64:
        raise invalid(f"--head: {quote(text)} is not CHAIN:N:DIGEST")
    return Head(chain, int(number), digest)


def _wanted(since: str, until: str, tenant: str, decision: str, what: str) -> Wanted:
    if decision and decision not in DECISIONS:
        known: tuple[Decision, ...] = DECISIONS
        raise invalid(f"--decision: {quote(decision)} is none{did_you_mean(decision, known)}")
    begin = _time(since, "--since") if since else 0.0
    end = _time(until, "--until") if until else float("inf")
    return Wanted(begin, end, tenant, decision, what)


def _time(text: str, option: str) -> float:
    """Unix time of so long ago, or of a date; without a zone it is UTC."""
    try:
        return time.time() - seconds(text)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(f"{option}: {quote(text)} is neither such as 2h nor a date") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _printed(record: Told, format_: str) -> str:
    if format_ == "json":
        return as_json(record)
    at = datetime.fromtimestamp(float(record.get("at", 0.0)), UTC)
    facts = (f"{name}={_fact(value)}" for name, value in record.items() if name not in _HIDDEN)
    line = f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z {record.get('what')}"
    return visible(" ".join((line, *facts)), _LONGEST)


def _fact(value: object) -> str:
    plain = isinstance(value, str) and value and " " not in value
    return str(value) if plain else json.dumps(value, ensure_ascii=False)


def _report_json(where: Path, report: Report) -> str:
    return json.dumps(
        {
            "folder": str(where),
            "sound": report.sound and bool(report.chains),
            "chains": [asdict(each) for each in report.chains],
            "findings": [asdict(each) for each in report.findings],
        },
        indent=2,
    )
