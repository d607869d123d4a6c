"""What there is once in a gateway, however many workers serve: discovery, routes, counters.

Workers subscribe to news of the mesh and of the routes, and report what they count.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from itertools import chain

import grpc
from grpc import aio

from gateway.discovery import Discovery
from gateway.identity import VERSION
from gateway.language_metrics import register_engines
from gateway.metrics import Totals
from gateway.recent import RecentRequests
from gateway.telemetry.exposition import page
from gateway.telemetry.merged import Merged
from gateway.telemetry.mesh import MeshMetrics
from gateway.telemetry.process import register_build
from protos import discovery_pb2 as pb
from routing.poison import POISON_TTL, Poison
from routing.registry import Registry

log = logging.getLogger(__name__)

REPORT_INTERVAL = 1.0  # seconds between a worker's reports
METHOD = "/penstock.v1.Supervisor/Attach"
# A snapshot is the whole mesh, a report a whole worker: both outgrow gRPC's 4 MiB.
CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
]

Subscriber = Callable[[pb.News], None]


class Hub:
    """The registry's surroundings. `discovery` is served on 8003, `attach` on a Unix socket."""

    def __init__(self, registry: Registry, discovery: Discovery) -> None:
        self.registry = registry
        self.discovery = discovery
        self.workers = Merged()
        self.recent = RecentRequests()
        self.poison = Poison()  # of all workers
        self.supervisor = Totals()  # of this process, where it is none of the workers
        self.snapshot = registry.snapshot(time.monotonic())
        self.routing = pb.Routing()
        self.applied: dict[str, str] = {}  # the hash of the routes by worker
        self.on_arms: Callable[[str, list[pb.ArmReport]], None] = lambda worker, arms: None
        self._subscribers: set[Subscriber] = set()
        self._task: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()  # one page at a time
        self.totals = Totals()
        self.show("penstock_endpoints", "Backend instances that hold a lease.", self._leases)
        self.show(
            "penstock_endpoints_suspect", "Leases in doubt: beats overdue or broken.", self._suspect
        )
        self.totals.add(
            "penstock_lease_evictions", "Leases that ran out.", lambda: registry.evictions
        )
        self.totals.add(
            "penstock_endpoints_left", "Backends that said goodbye.", lambda: discovery.left
        )
        self.totals.add(
            "penstock_beats_refused",
            "Beats of backends that were refused; each ends its stream, and is tried again.",
            lambda: discovery.refused,
        )
        MeshMetrics(lambda: self.snapshot.leases, discovery.work).register(self.totals)
        register_engines(self.totals, lambda: self.snapshot.leases)
        register_build(self.totals, VERSION)
        self.show(
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
        """Calls `subscriber` with what there is now and everything that comes.

        Routes come first: a worker must not serve a model before it knows by which rules.
        """
        self._subscribers.add(subscriber)
        subscriber(pb.News(routing=self.routing))
        subscriber(pb.News(snapshot=self.snapshot))
        subscriber(self._poisonous(time.monotonic()))

    def unsubscribe(self, subscriber: Subscriber) -> None:
        self._subscribers.discard(subscriber)

    def publish_routing(self, routing: pb.Routing) -> None:
        """Tells every worker of the routes that are in force from now on."""
        self.routing = routing
        self._tell(pb.News(routing=routing))

    def report(self, report: pb.WorkerReport) -> None:
        """Takes what a worker says of itself."""
        self.workers.report(report.worker, report.metrics)
        self.applied[report.worker.partition("/")[0]] = report.routes
        if report.arms:
            self.on_arms(report.worker, list(report.arms))
        now = time.monotonic()
        self.recent.take(report.requests, now)
        if report.poison:
            for fingerprint in report.poison:
                self.poison.learn(fingerprint, now + POISON_TTL)
            self._tell(self._poisonous(now))

    async def metrics_page(self) -> bytes:
        """All workers' metrics and the hub's own in OpenMetrics text, written in a thread."""
        async with self._writing:
            self.workers.report("supervisor/", self.supervisor.families())
            families = chain(self.workers.families(), self.totals.families())
            return await asyncio.to_thread(page, families)

    def attach_handler(self) -> grpc.GenericRpcHandler:
        """The service that workers in processes of their own attach to."""
        method = grpc.stream_stream_rpc_method_handler(
            self._attach,
            request_deserializer=pb.WorkerReport.FromString,
            response_serializer=pb.News.SerializeToString,
        )
        return grpc.method_handlers_generic_handler("penstock.v1.Supervisor", {"Attach": method})

    async def _attach(
        self,
        reports: AsyncIterator[pb.WorkerReport],
        context: "aio.ServicerContext[pb.WorkerReport, pb.News]",
    ) -> None:
        waiting: dict[str, pb.News] = {}  # a worker needs the newest of each kind only
        some = asyncio.Event()

        def newest(news: pb.News) -> None:
            waiting[news.WhichOneof("what") or ""] = news
            some.set()

        async def send() -> None:
            while True:
                await some.wait()
                some.clear()
                while waiting:
                    await context.write(waiting.pop(next(iter(waiting))))

        self.subscribe(newest)
        sender = asyncio.create_task(send(), name="news to a worker")
        try:
            async for report in reports:
                self.report(report)
        finally:
            self.unsubscribe(newest)
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    def _publish(self, snapshot: pb.Snapshot) -> None:
        self.snapshot = snapshot
        self._tell(pb.News(snapshot=snapshot))

    def _tell(self, news: pb.News) -> None:
        for subscriber in tuple(self._subscribers):
            take(news, subscriber)

    def _poisonous(self, now: float) -> pb.News:
        known = self.poison.known(now).items()
        requests = [pb.Poisonous(fingerprint=key, seconds=left) for key, left in known]
        return pb.News(poison=pb.Poison(requests=requests))

    def _leases(self) -> int:
        return len(self.snapshot.leases)

    def _suspect(self) -> int:
        return sum(lease.state == pb.SUSPECT for lease in self.snapshot.leases)

    def show(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Adds a gauge of the gateway as a whole to the page."""
        self.totals.add_gauge(name, text, (), lambda: {(): value()})

    def info(self, name: str, text: str, label: str) -> Callable[[str], None]:
        """Adds a gauge that is 1 for one value of a label; the result sets which."""
        values: dict[tuple[str, ...], float] = {}
        self.totals.add_gauge(name, text, (label,), lambda: values)

        def set_value(value: str) -> None:
            values.clear()
            values[value,] = 1.0

        return set_value


def take(news: pb.News, apply: Subscriber) -> None:
    """Applies the news; a failure is logged and leaves what was, not discovery dead."""
    try:
        apply(news)
    except Exception:
        log.exception("news of the %s can't be applied", news.WhichOneof("what"))


Report = Callable[[], Awaitable[pb.WorkerReport]]


async def attach(
    address: str,
    apply: Subscriber,
    report: Report,
    over: asyncio.Event,
    urgent: asyncio.Event,
) -> None:
    """A worker's end: takes news and reports, for the last time when it is `over`.

    It reports once a second, and at once when `urgent` is set.
    """
    while not over.is_set():
        try:
            async with aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
                call = channel.stream_stream(
                    METHOD,
                    request_serializer=pb.WorkerReport.SerializeToString,
                    response_deserializer=pb.News.FromString,
                )(_reports(report, over, urgent))
                async for news in call:
                    take(news, apply)
        except aio.AioRpcError as error:
            log.warning("lost the supervisor (%s), serving on", error.code().name)
        if not over.is_set():
            await asyncio.sleep(0.2)


async def _reports(
    report: Report, over: asyncio.Event, urgent: asyncio.Event
) -> AsyncIterator[pb.WorkerReport]:
    last = False
    while not last:
        last = over.is_set()
        yield await report()
        with suppress(TimeoutError):
            async with asyncio.timeout(REPORT_INTERVAL):
                await urgent.wait()
