"""What a worker's audit log counts, as metrics."""

from collections.abc import Iterable

from gateway.audit.log import AuditLog
from gateway.audit.samples import SampleFiles
from gateway.metrics import Totals
from policies.audit import Audit
from policies.samples import Samples
from protos import discovery_pb2 as pb

FAILING = "penstock_audit_administration_failing"


def register(
    totals: Totals, log: AuditLog, filter_: Audit, files: SampleFiles, samples: Samples
) -> None:
    """Adds the counters to those of a worker."""
    totals.add(
        "penstock_audit_records_written",
        "Records in the audit log.",
        lambda: log.chain.written,
    )
    totals.add(
        "penstock_audit_records_dropped",
        "Records that the audit log lacks, as too many waited; a record says how many.",
        lambda: log.dropped,
    )
    totals.add(
        "penstock_audit_write_failures",
        "Times that the audit log could not be written.",
        lambda: log.chain.failures,
    )
    totals.add(
        "penstock_audit_refusals",
        "Requests refused because they could not be recorded.",
        lambda: filter_.refused,
    )
    totals.add(
        "penstock_audit_payloads_written",
        "Sampled requests that were kept with their replies.",
        lambda: files.written,
    )
    totals.add(
        "penstock_audit_payloads_dropped",
        "Sampled requests that were not kept: too large, unfinished, not redacted, or too many.",
        lambda: files.dropped + samples.left_out,
    )
    register_failing(totals, log)


def register_failing(totals: Totals, log: AuditLog) -> None:
    """Adds what every process with a log says: administrators are heard by workers, too."""
    totals.add_gauge(
        FAILING,
        "1 while records of what is done to the gateway can't be written; then it isn't done.",
        (),
        lambda: {(): float(log.chain.failing)},
        pb.MAX,
    )


def is_failing(told: Iterable[pb.MetricFamily]) -> bool:
    """Whether a process said so in the gauge's families."""
    return any(series.value for family in told for series in family.series)
