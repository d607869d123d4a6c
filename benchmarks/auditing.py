"""What the audit log costs a request: processor time, in microseconds.

*On the way*: what the event loop does for a record. *In the thread*: what the writer does for it, in
batches of a thousand with one write and one fdatasync each, in the temporary folder. All cases take
turns within a round, and the first is there twice (A/A).

    python -m benchmarks auditing [--quick]
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks import turns
from benchmarks.report import Report, Table
from gateway.audit.chain import Chain
from gateway.audit.seal import Seal
from policies.audit import Entry, entry, record
from protos.principal import Principal
from protos.route.snapshot import RouteSnapshot
from protos.timeline import Target, Timeline

ROUNDS = 15
RECORDS = 1000
WHO = Principal("ann@corp.example", "acme", frozenset(), "corp")
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def _route(**blocks: object) -> RouteSnapshot:
    # Names as long as they usually are: they stand in every record.
    return replace(turns.route(**blocks), name="fraud", revision="2c1f60a94bd1be07")


def _timeline(route: RouteSnapshot) -> Timeline:
    timeline = Timeline(0.0)
    timeline.principal, timeline.snapshot = WHO, route
    timeline.route, timeline.arm, timeline.target = "fraud", "stable", Target("stable", "m", "3")
    timeline.request_id, timeline.traceparent, timeline.rows = "5b0c6e1f5b0c6e1f", TRACE, 1
    return timeline


def _entry(timeline: Timeline) -> Entry | None:
    return entry(
        timeline,
        at=1_800_000_000.25,
        model="fraud",
        face="http",
        code=200,
        error="",
        now=0.0041,
        default="all",
    )


def _way(route: RouteSnapshot) -> Callable[[], None]:
    timelines = [_timeline(route) for _ in range(RECORDS)]

    def work() -> None:
        for timeline in timelines:
            _entry(timeline)

    return work


def _thread(folder: Path, role: str, seal: Seal) -> Callable[[], None]:
    entries = [made for _ in range(RECORDS) if (made := _entry(_timeline(_route()))) is not None]
    chain = Chain(folder, role, seal, segment_bytes=64 << 20, segment_time=86400.0)

    def work() -> None:
        chain.append(record(each) for each in entries)

    return work


def run(*, quick: bool = False) -> None:
    """Measures, prints and saves the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = {
            "on the way": _way(_route()),
            "on the way again (A/A)": _way(_route()),
            "on the way of a route that records nothing": _way(_route(audit={"requests": "none"})),
            "in the thread, SHA-256": _thread(folder, "plain", Seal()),
            "in the thread, HMAC": _thread(folder, "keyed", Seal(bytes(32))),
        }
        taken: dict[str, list[float]] = {case: [] for case in cases}
        for _ in range(3 if quick else ROUNDS):
            for case, work in cases.items():
                started = time.thread_time()
                work()
                taken[case].append((time.thread_time() - started) / RECORDS * 1e6)
        written = sum(path.stat().st_size for path in folder.iterdir())
        size = written / (2 * RECORDS * len(taken["on the way"]))
    rows = [(case, median(each)) for case, each in taken.items()]
    report = Report("The audit log", turns.preface(__doc__))
    note = f"A record has {size:.0f} bytes."
    report.add(Table("µs of processor time a record", ("case", "cost"), rows, note))
    report.save("auditing", taken)


if __name__ == "__main__":
    run()
