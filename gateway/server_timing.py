"""Where a request's time went, as clients are told: a header on HTTP, a trailer on gRPC."""

import time

from protos.timeline import Timeline


def server_timing(timeline: Timeline) -> str:
    """W3C Server-Timing: each stage's milliseconds, the backend's queue and compute, the total.

    Stages follow each other; `queue` and `compute` are the backend's own part of `serve`, as it
    told with the answer. It is of the moment at which it is written: in the head of a stream, whose
    first part is there then, it says what that took.
    """
    pieces = []
    before = timeline.start
    for stage, at in timeline.marks:
        pieces.append(f"{stage};dur={(at - before) * 1e3:.3f}")
        before = at
    # Those that pass requests on to another server have no batches, but tell what that took.
    if timeline.batch_rows or timeline.compute_us:
        pieces.append(f"queue;dur={timeline.queue_us / 1e3:.3f}")
        pieces.append(f"compute;dur={timeline.compute_us / 1e3:.3f}")
    pieces.append(f"total;dur={(time.monotonic() - timeline.start) * 1e3:.3f}")
    return ", ".join(pieces)
