"""What one worker traces with: the tracer, the queue behind it, and what there is to count."""

import logging
import random
from collections.abc import Mapping
from typing import Self

from grpc import ChannelCredentials

from gateway.config import Config
from gateway.listening import Listener
from gateway.metrics import Totals
from gateway.tracing.tracer import Tracer
from protos.otlp import OtlpExporter, resource_of
from protos.span import Attributes
from protos.span_queue import SpanQueue
from protos.tls_files import Followed

log = logging.getLogger(__name__)

SERVICE = "penstock-gateway"


class Tracing:
    """`exporter` and `queue` are None where no collector is named."""

    def __init__(
        self, tracer: Tracer, exporter: OtlpExporter | None, queue: SpanQueue | None
    ) -> None:
        self.tracer = tracer
        self._exporter = exporter
        self._queue = queue

    @classmethod
    def of(cls, config: Config, worker: str) -> Self:
        """For the worker of that name. Raises INVALID for files that can't be read."""
        settings = config.telemetry
        exporter = queue = None
        if settings.collector is not None:
            exporter = OtlpExporter(settings.collector, resource_of(SERVICE, worker))
            queue = SpanQueue(exporter)
            log.info("traces go to %s", settings.collector.endpoint)
        chance = random.Random()  # noqa: S311 (no secret)
        tracer = Tracer(settings, queue, chance.random, servers=_servers(config))
        return cls(tracer, exporter, queue)

    @property
    def certificate(self) -> Followed[ChannelCredentials] | None:
        """What is shown to the collector, and whom it has to be."""
        return None if self._exporter is None else self._exporter.certificate

    def register(self, totals: Totals) -> None:
        tracer, queue = self.tracer, self._queue
        totals.add_labelled(
            "penstock_traces",
            "Traces kept: sampled from the start, or in retrospect since they were slow or failed.",
            ("why",),
            lambda: {("sampled",): tracer.sampled, ("retrospective",): tracer.retrospective},
        )
        totals.add(
            "penstock_traces_unkept",
            "Slow or failed requests beyond what `telemetry.retrospective` allows.",
            lambda: tracer.unkept,
        )
        totals.add(
            "penstock_spans_exported",
            "Spans that the collector has taken.",
            lambda: queue.exported if queue is not None else 0,
        )
        totals.add(
            "penstock_spans_dropped",
            "Spans lost: the collector didn't take them, or too many waited for it.",
            lambda: queue.dropped if queue is not None else 0,
        )
        totals.add_gauge(
            "penstock_spans_queued",
            "Spans that wait for the collector.",
            (),
            lambda: {(): queue.queued if queue is not None else 0},
        )

    def close(self, timeout: float) -> None:
        """Sends what waits, for at most so many seconds."""
        if self._queue is not None and self._exporter is not None:
            self._queue.close(timeout)
            self._exporter.close()


def _servers(config: Config) -> Mapping[str, Attributes]:
    http, grpc = config.listener("http"), config.listener("grpc")
    return {"http": _server(http), "openai": _server(http), "grpc": _server(grpc)}


def _server(listener: Listener) -> Attributes:
    address = listener.address
    found: dict[str, str | int] = {"server.address": address.host, "server.port": address.port}
    return found
