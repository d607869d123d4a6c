"""The report as Markdown, for a merge request or a page of the docs."""

from collections.abc import Iterator, Sequence

from chaos.experiment import Result
from chaos.promises import PROMISES


def markdown(found: Sequence[Result], machine: str) -> str:
    return "\n".join(_lines(found, machine)) + "\n"


def _lines(found: Sequence[Result], machine: str) -> Iterator[str]:
    yield "# Chaos report\n"
    yield f"{summary(found)} {machine}\n"
    for promise, text in PROMISES.items():
        of_it = [each for each in found if each.promise == promise]
        if not of_it:
            continue
        yield f"## {promise}. {text}\n"
        yield "| experiment | held | measured | wanted | |"
        yield "|---|---|---|---|---|"
        for result in of_it:
            yield from _rows(result)
        yield ""


def _rows(result: Result) -> Iterator[str]:
    name = f"`{result.name}`"
    if not result.verdicts:
        yield f"| {name} | {_cell(result.question)} | {_cell(result.why)} | | {result.state} |"
    for verdict in result.verdicts:
        state = "kept" if verdict.holds else "**broken**"
        yield (
            f"| {name} | {_cell(verdict.what)} | {_cell(verdict.measured)} | "
            f"{_cell(verdict.wanted)} | {state} |"
        )
        name = ""
    for figure in result.figures:
        yield f"| | {_cell(figure.what)} | {_cell(figure.value)} | | |"
    if result.verdicts and result.why:
        yield f"| | | {_cell(result.why)} | | **broken** |"


def summary(found: Sequence[Result]) -> str:
    """How many experiments ended how, in a sentence."""
    counts = [(state, sum(each.state == state for each in found)) for state in _STATES]
    told = ", ".join(f"{count} {state}" for state, count in counts if count)
    noun = "experiment" if len(found) == 1 else "experiments"
    return f"{len(found)} {noun}: {told}."


_STATES = ("kept", "broken", "not run")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")[:300]
