"""Spans on their way to a collector: OTLP over gRPC, by OpenTelemetry's own exporter."""

import logging
import os
import platform
import socket
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from grpc import ChannelCredentials
from pydantic import Field

from protos.errors import invalid
from protos.settings import Settings
from protos.span import Attributes, Span
from protos.tls import ClientTls
from protos.tls_files import Followed, followed_channel
from protos.web_address import WebAddress

if TYPE_CHECKING:
    from protos.otlp_wire import Exporter

log = logging.getLogger(__name__)

TIMEOUT = 5.0  # seconds for a batch, with all tries


class Collector(Settings):
    """Where spans go: Jaeger, an OpenTelemetry Collector, or whatever else takes OTLP over gRPC.

    `headersFile` holds lines `name: value`, such as a token; it is read at the start.
    """

    endpoint: WebAddress = Field(pattern="^https?://[^/]+$", examples=["http://jaeger:4317"])
    tls: ClientTls | None = None
    headers_file: Path | None = None


def resource_of(service: str, instance: str) -> Attributes:
    """What all spans of this process have in common, by the semantic conventions' names."""
    try:
        release = version("penstock")
    except PackageNotFoundError:
        release = "unknown"
    return {
        "service.name": service,
        "service.namespace": "penstock",
        "service.instance.id": instance,
        "service.version": release,
        "process.pid": os.getpid(),
        "process.runtime.name": platform.python_implementation().lower(),
        "process.runtime.version": platform.python_version(),
        "host.name": socket.gethostname(),
    }


class OtlpExporter:
    """Sends batches of spans; to be called in a thread of its own, since it waits.

    The SDK is loaded by the first that is made, as processes without a collector don't need it.
    """

    def __init__(self, collector: Collector, resource: Attributes) -> None:
        """Raises INVALID for files that can't be read."""
        self.certificate: Followed[ChannelCredentials] | None = None
        if collector.endpoint.startswith("https://") and collector.tls is not None:
            self.certificate = followed_channel("collector", collector.tls)
        # Its lines would come for every batch; one for each turn of events is enough.
        logging.getLogger("opentelemetry.exporter.otlp").setLevel(logging.CRITICAL)
        self.endpoint = collector.endpoint
        self._resource = resource
        self._headers = _headers(collector.headers_file)
        self._failing = False
        self._credentials = self._newest()
        self._exporter = self._connection()

    def __call__(self, spans: Sequence[Span]) -> int:
        """How many of them the collector has taken. Never raises."""
        from opentelemetry.sdk.trace.export import SpanExportResult

        try:
            self._follow()
            sent = self._exporter.export(spans) is SpanExportResult.SUCCESS
            taken = max(0, len(spans) - self._exporter.rejected) if sent else 0
        except Exception as raised:
            log.debug("spans could not be sent", exc_info=raised)
            taken = 0
        failing = taken < len(spans)
        if failing != self._failing:
            self._failing = failing
            if not failing:
                log.info("the collector at %s takes spans again", self.endpoint)
            elif taken:
                log.warning("the collector at %s rejects spans; they are lost", self.endpoint)
            else:
                log.warning("the collector at %s takes no spans; they are lost", self.endpoint)
        return taken

    def close(self) -> None:
        """Gives up what is being tried again."""
        self._exporter.shutdown()

    def _follow(self) -> None:
        """Connects anew if the files of TLS were exchanged: a channel has those of its making."""
        credentials = self._newest()
        if credentials is not self._credentials:
            self._credentials = credentials
            former, self._exporter = self._exporter, self._connection()
            former.shutdown()

    def _newest(self) -> ChannelCredentials | None:
        return None if self.certificate is None else self.certificate.current()

    def _connection(self) -> "Exporter":
        from grpc import Compression

        from protos.otlp_wire import Exporter

        return Exporter(
            self._resource,
            endpoint=self.endpoint,
            insecure=not self.endpoint.startswith("https://"),
            credentials=self._credentials,
            headers=self._headers,
            timeout=TIMEOUT,
            compression=Compression.Gzip,
        )


def _headers(file: Path | None) -> tuple[tuple[str, str], ...]:
    if file is None:
        return ()
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise invalid(f"headersFile: {file} can't be read") from None
    found = []
    for line in filter(str.strip, lines):
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise invalid(f"headersFile: {file} has a line that isn't `name: value`")
        found.append((name.strip().lower(), value.strip()))
    return tuple(found)
