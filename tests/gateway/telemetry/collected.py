"""Families as a scraper reads them."""

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from gateway.telemetry.exposition import page
from protos import discovery_pb2 as pb


def collected(families: Iterable[pb.MetricFamily]) -> list[Metric]:
    """Raises ValueError for a page that breaks OpenMetrics."""
    return list(text_string_to_metric_families(page(families).decode()))
