"""`python -m chaos.soak`: a mesh under a mix of everything for as long as you like."""

import asyncio
import os
import platform
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from chaos.soak.page import page
from chaos.soak.run import soak
from chaos.soak.samples import Sample

_TOLD_EACH = 30  # samples


def main(
    minutes: Annotated[float, typer.Option(help="How long.")] = 30.0,
    rate: Annotated[float, typer.Option(help="Requests a second, all kinds together.")] = 60.0,
    report: Annotated[Path, typer.Option(help="Where samples and the page are written.")] = Path(
        ".penstock/soak"
    ),
    seed: Annotated[int, typer.Option(help="Of the load's random times.")] = 1,
) -> None:
    """Asks, breaks and restarts, looks at every process each second, and says what grew."""
    console = Console(highlight=False, soft_wrap=True)
    report.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="penstock-soak-") as folder,
        (report / "samples.jsonl").open("w") as lines,
    ):
        seen = 0

        def say(sample: Sample) -> None:
            nonlocal seen
            lines.write(sample.line() + "\n")
            lines.flush()
            if seen % _TOLD_EACH == 0:
                console.print(_told(sample))
            seen += 1

        found = asyncio.run(soak(Path(folder), minutes * 60, rate, seed, say))
    about = (
        f"{minutes:g} minutes, about {rate:g} requests a second, on {os.cpu_count()} cores, "
        f"Python {platform.python_version()}."
    )
    (report / "index.html").write_text(page(found, about))
    verdicts = found.verdicts()
    for each in verdicts:
        style, word = ("green", "kept") if each.holds else ("bold red", "broken")
        console.print(f"[{style}]{word:>7}[/]  {each.what}: {each.measured} (wanted {each.wanted})")
    console.print(f"\nThe report: {report / 'index.html'}")
    raise typer.Exit(int(not all(each.holds for each in verdicts)))


def _told(sample: Sample) -> str:
    held = "  ".join(
        f"{name} {each.uss / 1024**2:.0f} MiB" for name, each in sample.processes.items()
    )
    return f"{sample.at:6.0f} s  {held}"


if __name__ == "__main__":
    typer.run(main)
