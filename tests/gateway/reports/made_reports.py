"""Reports that tests look at: made records, plain and hostile."""

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from random import Random

from routing.shadow.record import PairRecord
from routing.shadow.report import Report, build_reports
from routing.shadow.verdict import Criteria
from tests.gateway.reports.made_records import NOW, SINCE, Made, records

SCRIPT = "<script>alert(1)</script>"
QUOTES = "\"'><img src=x onerror=alert(1)>"
OVERRIDE = "‮gnp.exe"  # shown right to left by what trusts it
ESCAPE = "\x1b]0;owned\x07\x1b[31mred"
LONG = "x" * 500
ARABIC = "العربية"
HOSTILE = (SCRIPT, QUOTES, OVERRIDE, ESCAPE, LONG, ARABIC, "\ud800", "[bold red]markup[/]")

SHOWN = {
    "promote": Made(),
    "dont": Made(flips=0.012, flips_of={"umbrella": 0.2}, slower=1.07),
    "not_enough_evidence": Made(dropped=0.09),
}


def reported(found: Iterable[PairRecord]) -> tuple[Report, ...]:
    return build_reports(
        found, route="fraud", now=NOW, since=SINCE, criteria=Criteria(), rng=Random(1)
    )


@cache
def report(decision: str) -> Report:
    """A report that comes to this decision."""
    (only,) = reported(records(4000, SHOWN[decision]))
    return only


@cache
def hostile() -> Report:
    """A report whose every text was chosen by somebody who means harm."""
    (only,) = reported(
        _spoilt(each, index) for index, each in enumerate(records(2000, Made(flips=0.1)))
    )
    return replace(only, route=QUOTES, mirror=SCRIPT, model=OVERRIDE, version=LONG)


def _spoilt(record: PairRecord, index: int) -> PairRecord:
    texts = [HOSTILE[(index + shift) % len(HOSTILE)] for shift in range(5)]
    measures = {**record.outcome.measures, texts[0]: 1.0}
    outcome = record.outcome
    if record.status == "compared":
        outcome = replace(outcome, label=texts[1], measures=measures)
    return replace(
        record,
        tenant=texts[2],
        shape=texts[3],
        arm=texts[4],
        request_id=texts[0],
        trace_id=texts[1],
        outcome=replace(outcome, reason=texts[2] if outcome.agrees is not True else ""),
        payloads='{"answer": "</pre><script>alert(2)</script>"}',
    )
