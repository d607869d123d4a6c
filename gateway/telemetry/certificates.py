"""Until when the certificates of a process are good, and whether their files are, as metrics."""

from collections.abc import Sequence
from typing import Any

from gateway.metrics import Labelled, Totals
from protos import discovery_pb2 as pb
from protos.tls_files import Followed


def register(totals: Totals, followed: Sequence[Followed[Any] | None]) -> None:
    """Adds the gauges; reading them looks at the files, also where nobody connects.

    `followed` may grow: what is there when somebody looks is told. Of several workers the worst
    counts.
    """

    def expiries() -> Labelled:
        return {
            (each.use, field): moment
            for each in followed
            if each is not None
            for field, moment in each.expiries().items()
        }

    def unusable() -> Labelled:
        return {(each.use,): float(bool(each.failure)) for each in followed if each is not None}

    totals.add_gauge(
        "penstock_tls_expiry_timestamp_seconds",
        "When a certificate in use expires (of authorities, the last), in seconds since 1970.",
        ("use", "file"),
        expiries,
        pb.MIN,
    )
    totals.add_gauge(
        "penstock_tls_files_unusable",
        "1 while files were exchanged for some that can't be used, and the former ones stay.",
        ("use",),
        unusable,
        pb.MAX,
    )
