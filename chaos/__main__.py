"""`penstock-chaos`: breaks things on purpose and says which promises held."""

import asyncio
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

if find_spec("aiohttp") is None:
    sys.exit(
        "penstock-chaos: its load needs aiohttp, which `make chaos` and `make test` install,"
        " or pip install 'penstock[chaos]'"
    )

from chaos import results
from chaos.experiment import Bench, Experiment, Result, experiments, perform
from chaos.probe import missing
from chaos.report_markdown import markdown, summary
from chaos.report_page import page
from chaos.runner import run as run_one

_app = typer.Typer(
    help="Breaks a mesh of its own on this machine, and says which promises held.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_STYLES = {"kept": "green", "broken": "bold red", "not run": "yellow"}


@_app.command("list")
def list_() -> None:
    """Shows the experiments, and what this machine lacks for them."""
    table = Table("promise", "experiment", "question", "lacks here", box=None)
    for each in experiments():
        lacking = ", ".join(missing(each.needs))
        table.add_row(str(each.promise), each.name, each.question, lacking)
    Console().print(table)


@_app.command()
def run(
    names: Annotated[list[str] | None, typer.Argument(help="Experiments; all if none.")] = None,
    promise: Annotated[list[int] | None, typer.Option(help="Only those of this promise.")] = None,
    short: Annotated[
        bool, typer.Option("--short", help="Only the short set, with less time for each.")
    ] = False,
    report: Annotated[Path, typer.Option(help="Where reports and histories are written.")] = Path(
        ".penstock/chaos"
    ),
    seed: Annotated[int, typer.Option(help="Of the load's random times.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print results as JSON lines.")] = False,
) -> None:
    """Runs experiments one after the other; ends with 1 if a promise was broken."""
    chosen = _chosen(names or [], promise or [], short)
    _writable(report)
    _tidy_up_when_terminated()
    console = Console(stderr=as_json, highlight=False)
    folder = Path(tempfile.mkdtemp(prefix="penstock-chaos-"))
    found: list[Result] = []
    try:
        for number, experiment in enumerate(chosen, start=1):
            with console.status(f"{number} of {len(chosen)}: {experiment.question}"):
                result = run_one(experiment, folder / experiment.name, short=short, seed=seed)
            found.append(result)
            _tell(console, result)
            if as_json:
                print(json.dumps(asdict(result)))
    finally:
        if found:
            _report(found, folder, report)
        shutil.rmtree(folder, ignore_errors=True)
    console.print(f"\n{summary(found)} The report: {report / 'index.html'}")
    raise typer.Exit(int(any(each.state == "broken" for each in found)))


@_app.command(hidden=True)
def one(name: str, folder: Path, seed: int = 1, short: bool = False) -> None:
    """Runs one experiment in this process and this network."""
    (experiment,) = _chosen([name], [], short=False)
    _tidy_up_when_terminated()
    result = asyncio.run(perform(experiment, Bench(folder, short, seed)))
    results.write(result, folder)


def _tidy_up_when_terminated() -> None:
    """SIGTERM is as Ctrl-C, so that faults are undone and what was found is written."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


def _writable(report: Path) -> None:
    """Before twenty minutes were spent on what can't be written down."""
    try:
        report.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=report):
            pass
    except OSError as error:
        raise typer.BadParameter(
            f"no report can be written to {report}: {error.strerror}", param_hint="--report"
        ) from None


def _chosen(names: list[str], promises: list[int], short: bool) -> list[Experiment]:
    every = experiments()
    known = {each.name for each in every}
    if unknown := sorted(set(names) - known):
        raise typer.BadParameter(
            f"there is no experiment {unknown[0]!r}; `penstock-chaos list` shows them"
        )
    chosen = [
        each
        for each in every
        if (not names or each.name in names)
        and (not promises or each.promise in promises)
        and (not short or each.short)
    ]
    if not chosen:
        raise typer.BadParameter("no experiment is all of that")
    return chosen


def _tell(console: Console, result: Result) -> None:
    console.print(
        f"[{_STYLES[result.state]}]{result.state:>7}[/]  {result.promise:>2}  {result.name:<28} "
        f"{result.seconds:5.1f} s"
    )
    for verdict in result.verdicts:
        if not verdict.holds:
            told = f"{verdict.what}: {verdict.measured} (wanted {verdict.wanted})"
            console.print(f"             {told}", style="red", markup=False)
    if result.why:
        console.print(f"             {result.why[-600:]}", style="dim", markup=False)


def _report(found: list[Result], folder: Path, report: Path) -> None:
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.release()}."
    histories = {each.name: results.histories(folder / each.name) for each in found}
    (report / "report.md").write_text(markdown(found, machine))
    (report / "index.html").write_text(page(found, histories, machine))
    (report / "results.json").write_text(json.dumps([asdict(each) for each in found], indent=1))
    # Those of earlier runs aren't beside results that they have nothing to do with.
    for experiment in experiments():
        shutil.rmtree(report / "histories" / experiment.name, ignore_errors=True)
    for each in found:
        for file in (folder / each.name).glob("*.jsonl"):
            place = report / "histories" / each.name
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)


def main() -> None:
    _app()


if __name__ == "__main__":
    main()
