"""What there is once in a gateway, however many workers serve: discovery, counters, the admin face.

Workers subscribe to snapshots of the mesh and report their metrics.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable

import grpc
from grpc import aio
from prometheus_client import CollectorRegistry, Gauge

from gateway.discovery import Discovery
from gateway.metrics import Merged, Totals, page
from protos import discovery_pb2 as pb
from routing.registry import Registry

log = logging.getLogger(__name__)

REPORT_INTERVAL = 1.0  # seconds between a worker's reports
METHOD = "/penstock.v1.Supervisor/Attach"
# A snapshot is the whole mesh, a report a whole worker: both outgrow gRPC's 4 MiB.
CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
]

Subscriber = Callable[[pb.Snapshot], None]


class Hub:
    """The registry's surroundings. `discovery` is served on 8003, `attach` on a Unix socket."""

    def __init__(self, registry: Registry, discovery: Discovery) -> None:
        self.registry = registry
        self.discovery = discovery
        self.workers = Merged()
        self.snapshot = registry.snapshot(time.monotonic())
        self._subscribers: set[Subscriber] = set()
        self._task: asyncio.Task[None] | None = None
        self._metrics = CollectorRegistry()
        self._metrics.register(self.workers)
        self._show("penstock_endpoints", "Backend instances that hold a lease.", self._leases)
        self._show(
            "penstock_endpoints_suspect", "Leases in doubt: beats overdue or broken.", self._suspect
        )
        totals = Totals()
        self._metrics.register(totals)
        totals.add("penstock_lease_evictions", "Leases that ran out.", lambda: registry.evictions)
        self._show(
            "penstock_self_preservation",
            "1 while leases don't expire because too many beats are missing at once.",
            lambda: registry.self_preservation,
        )

    def start(self) -> None:
        self._task = asyncio.create_task(self.discovery.run(self._publish), name="discovery")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Calls `subscriber` with the present snapshot and every later one."""
        self._subscribers.add(subscriber)
        subscriber(self.snapshot)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        self._subscribers.discard(subscriber)

    def metrics_page(self) -> bytes:
        """All workers' metrics and the hub's own in OpenMetrics text."""
        return page(self._metrics)

    def attach_handler(self) -> grpc.GenericRpcHandler:
        """The service that workers in processes of their own attach to."""
        method = grpc.stream_stream_rpc_method_handler(
            self._attach,
            request_deserializer=pb.WorkerReport.FromString,
            response_serializer=pb.Snapshot.SerializeToString,
        )
        return grpc.method_handlers_generic_handler("penstock.v1.Supervisor", {"Attach": method})

    async def _attach(
        self,
        reports: AsyncIterator[pb.WorkerReport],
        context: "aio.ServicerContext[pb.WorkerReport, pb.Snapshot]",
    ) -> None:
        waiting: asyncio.Queue[pb.Snapshot] = asyncio.Queue(maxsize=1)

        def newest(snapshot: pb.Snapshot) -> None:
            if waiting.full():
                waiting.get_nowait()  # a worker needs the newest only
            waiting.put_nowait(snapshot)

        async def send() -> None:
            while True:
                await context.write(await waiting.get())

        self.subscribe(newest)
        sender = asyncio.create_task(send(), name="snapshots to a worker")
        try:
            async for report in reports:
                self.workers.report(report.worker, report.metrics)
        finally:
            self.unsubscribe(newest)
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    def _publish(self, snapshot: pb.Snapshot) -> None:
        self.snapshot = snapshot
        for subscriber in tuple(self._subscribers):
            take(snapshot, subscriber)

    def _leases(self) -> int:
        return len(self.snapshot.leases)

    def _suspect(self) -> int:
        return sum(lease.state == pb.SUSPECT for lease in self.snapshot.leases)

    def _show(self, name: str, text: str, value: Callable[[], float]) -> None:
        Gauge(name, text, registry=self._metrics).set_function(value)


def take(snapshot: pb.Snapshot, apply: Subscriber) -> None:
    """Applies the snapshot; a failure is logged and leaves the last one, not discovery dead."""
    try:
        apply(snapshot)
    except Exception:
        log.exception("snapshot %d can't be applied", snapshot.revision)


async def attach(
    address: str,
    worker: str,
    apply: Subscriber,
    families: Callable[[], list[pb.MetricFamily]],
) -> None:
    """A worker's end: takes snapshots and reports until cancelled."""
    while True:
        try:
            async with aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
                call = channel.stream_stream(
                    METHOD,
                    request_serializer=pb.WorkerReport.SerializeToString,
                    response_deserializer=pb.Snapshot.FromString,
                )(_reports(worker, families))
                async for snapshot in call:
                    take(snapshot, apply)
        except aio.AioRpcError as error:
            log.warning("lost the supervisor (%s), serving on", error.code().name)
        await asyncio.sleep(0.2)


async def _reports(
    worker: str, families: Callable[[], list[pb.MetricFamily]]
) -> AsyncIterator[pb.WorkerReport]:
    while True:
        yield pb.WorkerReport(worker=worker, metrics=families())
        await asyncio.sleep(REPORT_INTERVAL)
