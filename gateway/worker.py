"""One serving worker: both faces, the pipeline and the endpoint table, on one event loop.

It is told about the mesh by snapshots and owns nothing that must survive it, so a worker can be
replaced at any time. A gateway with one worker runs it beside the hub, others in processes.
"""

import asyncio
import logging
import random
import socket
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health

from gateway import cache_metrics, output_metrics, privacy_metrics
from gateway.arms import ArmBook
from gateway.audit.log import AuditLog
from gateway.audit.metrics import register as register_audit
from gateway.audit.samples import SampleFiles
from gateway.cache import stores
from gateway.classifiers import Classifiers
from gateway.config import Config
from gateway.control import Control
from gateway.decode import Decoder
from gateway.gate import Gate
from gateway.grace import MIRROR_DRAIN, RECORDS_CLOSE
from gateway.grpc_face import GrpcFace
from gateway.grpc_guard import Guard
from gateway.grpc_options import bind, server_options
from gateway.http.control_face import control_face
from gateway.http.dispatch import Dispatch
from gateway.http.infer import InferFace
from gateway.http.openai_api import OpenAiApi
from gateway.http.openai_models import Models
from gateway.http.server import HttpServer, serve
from gateway.identities import authenticator
from gateway.metrics import Metrics
from gateway.pipeline import build
from gateway.privacy_key import privacy_key
from gateway.records import Records
from gateway.remember import Observe
from gateway.routes.current import CurrentRoutes
from gateway.routes.decision_log import DecisionLog, own_seal
from gateway.routing_metrics import register
from gateway.state.allowances import leasing
from gateway.state.allowances import register as register_leasing
from gateway.state.settings import StateSettings
from gateway.store.engine import Store
from gateway.store.recorder import Recorder
from gateway.usage import metrics as usage_metrics
from gateway.usage.accounts import Accounts
from gateway.usage.pseudonyms import pseudonyms
from policies.audit import Audit
from policies.limits.elsewhere import Elsewhere
from policies.limits.filter import Limits
from policies.limits.local import Local
from protos import discovery_pb2 as pb
from protos.garbage import settle
from protos.open_inference_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from protos.tls import channel_credentials
from routing.decisions import Decision
from routing.endpoints import EndpointTable
from routing.exchange import Bounds, Exchange
from routing.retry import Budget
from routing.shadow.record import PairRecord

if TYPE_CHECKING:
    from gateway.state.redis import Redis

log = logging.getLogger(__name__)

MAX_RPCS = 8192  # calls of the gRPC face at a time; beyond that they are refused
HEALTH_INTERVAL = 0.5  # seconds between looks at whether anything can be served


class Worker:
    """`name` tells the workers of a mesh apart: it decides which endpoints each one prefers.

    `process` is `number/process id`, under which it reports. `supervisor` is the address of the one
    that several workers of a gateway have.
    """

    def __init__(self, config: Config, name: str, process: str, supervisor: str = "") -> None:
        self._config = config
        self._process = process
        self._budget = Budget(time.monotonic())
        tls = config.exchange.tls
        self._backend_credentials = None if tls is None else channel_credentials(tls)
        self._bounds = Bounds(idle=config.timeouts.idle)
        self.metrics = Metrics()
        self.table = EndpointTable(self._connect)
        self.routes = CurrentRoutes()
        self._routed = False
        role = f"worker-{process.partition('/')[0]}"
        self._audit = AuditLog.of(config, role)
        self._samples = SampleFiles(
            config.audit_folder / "payloads",
            role,
            lambda route, parts: self._pipeline.privacy.sample(route, parts),
            keep=config.audit.keep_payloads,
        )
        loop = asyncio.get_running_loop()
        self._records = Records(config.store_url)
        pairs = self._records.recorder(_write_pairs, "comparisons")
        decided, decisions = self._decisions()
        self._redis = _shared_state(config.state, "shared state")
        self._kept_answers = _shared_state(config.state, "shared cache")
        elsewhere = Elsewhere(pseudonyms(config.state_folder))
        self._leasing = leasing(config, process, supervisor, self._redis, elsewhere)
        leased = None if self._leasing is None else self._leasing.lessee
        allowances = leased or Local(time.time, elsewhere)
        self._accounts = Accounts(self._records, name, elsewhere, config.usage.tenants)
        self._pipeline = build(
            self.table,
            self._budget,
            worker=name,
            workers=config.workers,
            total=config.timeouts.total,
            idle=config.timeouts.idle,
            stores=stores(config, self._kept_answers),
            fairness=config.fairness,
            audit=Audit(
                refuse=config.audit.on_failure == "refuse",
                writable=lambda: self._audit.writable,
            ),
            limits=Limits(allowances, time.monotonic, time.time, self._accounts.spending.add),
            privacy_key=lambda: privacy_key(config.privacy, config.state_folder),
            sample=self._samples.put,
            models=Classifiers(self.table, self.routes),
            decided=decided,
            record=pairs.put,
            clock=time.monotonic,
            call_soon=loop.call_soon,
            call_at=loop.call_at,
        )
        register(self.metrics.totals, self._pipeline, pairs, decisions)
        privacy_metrics.register(self.metrics.totals, self._pipeline.privacy)
        output_metrics.register(self.metrics.totals, self._pipeline.output)
        cache_metrics.register(self.metrics.totals, self._pipeline.cache)
        usage_metrics.register(self.metrics.totals, self._accounts)
        if self._leasing is not None:
            register_leasing(self.metrics.totals, self._leasing)
        register_audit(
            self.metrics.totals,
            self._audit,
            self._pipeline.audit,
            self._samples,
            self._pipeline.samples,
        )
        self._authenticator = authenticator(config, self._records.store)
        self.gate = Gate(
            self._pipeline.service,
            self.table,
            self.routes,
            self._authenticator,
            self.metrics,
            ArmBook(),
            time.monotonic,
            config.timeouts.total,
            self._audit,
            self._accounts.usage,
        )
        self._control = Control(self.table, self.routes)
        self._decoder = Decoder(config.limits.json_inline, config.limits.json_body)
        self._health = health.HealthServicer()
        self._grpc: aio.Server | None = None
        self._http: HttpServer | None = None
        self._watch: asyncio.Task[None] | None = None

    def apply(self, news: pb.News) -> None:
        """Takes what discovery knows, or the routes in force."""
        if news.HasField("routing"):
            self.routes.apply(news.routing)
            self._pipeline.privacy.prepare(self.routes.table.snapshots())
            self._pipeline.output.prepare(self.routes.table.snapshots())
            self._routed = True
        elif self._routed:  # without its rules a worker serves nothing
            self.table.apply(news.snapshot)

    async def start(self, http: socket.socket | None = None, *, share_grpc_port: bool) -> None:
        """Listens; `http` is an inherited listening socket, the gRPC port is shared by name."""
        await self._authenticator.start()
        await self._accounts.start()
        servers = (self._redis, self._kept_answers)
        await asyncio.gather(*(each.start() for each in servers if each is not None))
        if self._leasing is not None:
            self._leasing.start()
        config = self._config
        faces = InferFace(self.gate, self._decoder, config.limits.body)
        actions = {
            "infer": faces.infer,
            "generate": faces.generate,
            "generate_stream": faces.generate_stream,
        }
        openai = OpenAiApi(
            self.gate, Models(self.table, self.routes), self._decoder, config.limits.body
        )
        control = control_face(self.gate, self._control)
        app = Dispatch(actions, openai.find, control, self.gate.observe, self._audit.stranger)
        listener = config.listener("http")
        self._http = serve(app, http or listener.address, config.limits, listener.tls)
        await self._http.start()
        await self._start_grpc(share_grpc_port)
        self._decoder.warm_up()
        self._watch = asyncio.create_task(self._watch_health(), name="health")
        settle()

    async def drain(self) -> None:
        """Takes no new connections, finishes what is running, then closes everything."""
        timeout = self._config.limits.drain_timeout
        faces = []
        if self._http is not None:
            faces.append(self._http.drain(timeout))
        if self._grpc is not None:
            faces.append(self._grpc.stop(timeout))
        await asyncio.gather(*faces)
        if self._watch is not None:
            self._watch.cancel()
        await self._pipeline.privacy.close()
        await self._pipeline.cache.close()
        if self._leasing is not None:
            await self._leasing.close()
        for server in (self._redis, self._kept_answers):
            if server is not None:
                await server.close()
        await self._pipeline.mirror.drain(MIRROR_DRAIN)
        await self._pipeline.mirror.close()
        await self._authenticator.close()
        await self.table.close()
        self._decoder.close()
        await self._accounts.close()
        await asyncio.to_thread(self._records.close, RECORDS_CLOSE)
        await asyncio.to_thread(self._samples.close, RECORDS_CLOSE)
        await asyncio.to_thread(self._audit.close, RECORDS_CLOSE)

    def report(self) -> pb.WorkerReport:
        """This worker's metrics as of now, and what it counted since the last report."""
        return pb.WorkerReport(
            worker=self._process,
            metrics=self.metrics.families(),
            routes=self.routes.revision,
            arms=self.gate.arms.take(),
        )

    async def _start_grpc(self, share_port: bool) -> None:
        config = self._config
        self._grpc = aio.server(
            interceptors=(Guard(self.gate.authenticate, self._audit.stranger),),
            options=server_options(config.limits.body, share_port=share_port),
            maximum_concurrent_rpcs=MAX_RPCS,
        )
        add_GRPCInferenceServiceServicer_to_server(GrpcFace(self.gate, self._control), self._grpc)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        bind(self._grpc, config.listener("grpc"))
        await self._grpc.start()

    async def _watch_health(self) -> None:
        status = health_pb2.HealthCheckResponse
        while True:
            state = status.SERVING if self._control.ready() else status.NOT_SERVING
            await self._health.set("", state)
            await self._health.set("inference.GRPCInferenceService", state)
            await asyncio.sleep(HEALTH_INTERVAL)

    def _decisions(self) -> tuple[Observe, Recorder[Decision] | None]:
        """What is told of each request, and what writes it, as long as records can be sealed."""
        config = self._config
        try:
            seal = own_seal(config.state_folder)
        except (OSError, ValueError) as failure:
            log.warning("decisions are not recorded: %s", failure)
            return (lambda request, code, now: None), None
        decisions = self._records.recorder(_write_decisions, "decisions")
        chance = random.Random()  # noqa: S311 (no secret)
        told = DecisionLog(
            lambda: self.routes.table,
            seal,
            decisions.put,
            per_second=config.decisions.per_second / config.workers,
            rng=chance.random,
            wall=time.time,
        )
        return told.observe, decisions

    def _connect(self, address: str, access_key: str) -> Exchange:
        return Exchange(
            address,
            access_key,
            credentials=self._backend_credentials,
            bounds=self._bounds,
            on_lost=self._budget.reserve_for,
        )


def _shared_state(settings: StateSettings, holds: str) -> "Redis | None":
    """The server that holds what gateways share; None where one machine shares with nobody."""
    if not settings.shared:
        return None
    from gateway.state.redis import Redis  # which takes the extra `redis`

    return Redis(settings, holds)


def _write_pairs(store: Store, records: Sequence[PairRecord]) -> None:
    store.pairs.append(records)


def _write_decisions(store: Store, records: Sequence[Decision]) -> None:
    store.decisions.append(records)
