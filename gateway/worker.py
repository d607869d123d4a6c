"""One serving worker: both faces, the pipeline and the endpoint table, on one event loop.

It is told about the mesh by snapshots and owns nothing that must survive it, so a worker can be
replaced at any time. A gateway with one worker runs it beside the hub, others in processes.
"""

import asyncio
import random
import socket
import time
from typing import Any

from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health

from gateway import cache_metrics, output_metrics, privacy_metrics
from gateway.arms import ArmBook
from gateway.audit.metrics import register as register_audit
from gateway.cache import stores
from gateway.classifiers import Classifiers
from gateway.config import Config
from gateway.control import Control
from gateway.decode import Decoder
from gateway.gate import Gate
from gateway.grace import MIRROR_DRAIN, RECORDS_CLOSE
from gateway.grpc_face import GrpcFace
from gateway.grpc_guard import Guard
from gateway.grpc_options import bind, certificate, server_options
from gateway.grpc_reading import Reading, message_time
from gateway.http.bodies import Bodies
from gateway.http.control_face import control_face
from gateway.http.dispatch import Dispatch
from gateway.http.infer import InferFace
from gateway.http.openai_api import OpenAiApi
from gateway.http.openai_models import Models
from gateway.http.server import HttpServer, serve
from gateway.identities import authenticator
from gateway.language_metrics import register_picks
from gateway.metrics import Metrics
from gateway.pipeline import Pipeline, build
from gateway.privacy_key import privacy_key
from gateway.recent import packed
from gateway.recent_row import row_of
from gateway.routes.current import CurrentRoutes
from gateway.routing_metrics import register
from gateway.state.shared import Shared
from gateway.telemetry import certificates, endpoints
from gateway.telemetry.process import LoopLag, register_lag, register_process, register_tasks
from gateway.telemetry.request_log import RequestLog, register_log
from gateway.tracing.worker import Tracing
from gateway.usage import metrics as usage_metrics
from gateway.usage.pseudonyms import pseudonyms
from gateway.worker_records import WorkerRecords
from policies.audit import Audit
from policies.limits.elsewhere import Elsewhere
from policies.limits.filter import Limits
from protos import discovery_pb2 as pb
from protos import grpc_server
from protos.garbage import settle
from protos.log_writer import LogWriter
from protos.open_inference_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from protos.tls_files import Followed, followed_channel
from routing.endpoints import EndpointTable
from routing.exchange import Bounds, Exchange
from routing.poison import Poison
from routing.retry import Budget

HEALTH_INTERVAL = 0.5  # seconds between looks at whether anything can be served


class Worker:
    """`name` tells the workers of a mesh apart: it decides which endpoints each one prefers.

    `process` is `number/process id`, under which it reports. `supervisor` is the address of the one
    that several workers of a gateway have. `log` writes the lines of its process.
    """

    def __init__(
        self, config: Config, name: str, process: str, log: LogWriter, supervisor: str = ""
    ) -> None:
        self._config = config
        self._process = process
        self._budget = Budget(time.monotonic())
        self.urgent = asyncio.Event()  # there is something to report that others must know at once
        self._poison = Poison(self.urgent.set)
        tls = config.exchange.tls
        self._shown_to_backends = None if tls is None else followed_channel("exchange", tls)
        self._certificates: list[Followed[Any] | None] = [self._shown_to_backends]
        self._bounds = Bounds(idle=config.timeouts.idle)
        self.metrics = Metrics()
        self.table = EndpointTable(self._connect)
        self.routes = CurrentRoutes()
        self._routed = False
        elsewhere = Elsewhere(pseudonyms(config.state_folder, config.decisions.key_file))
        self._shared = Shared(config, process, supervisor, elsewhere)
        self._records = records = WorkerRecords(
            config,
            name,
            process,
            elsewhere,
            lambda: self.routes.table,
            lambda route, parts: self._pipeline.privacy.sample(route, parts),
            lambda route, model: self._pipeline.privacy.named(route, model),
        )
        audit = records.audit
        self.tracing = Tracing.of(config, name)
        self._certificates.append(self.tracing.certificate)
        loop = asyncio.get_running_loop()
        self._pipeline: Pipeline = build(
            self.table,
            self._budget,
            worker=name,
            workers=config.workers,
            total=config.timeouts.total,
            idle=config.timeouts.idle,
            stores=stores(config, self._shared.answers),
            fairness=config.fairness,
            audit=Audit(
                refuse=config.audit.on_failure == "refuse",
                writable=lambda: audit.writable,
            ),
            limits=Limits(
                self._shared.allowances, time.monotonic, time.time, records.accounts.spending.add
            ),
            privacy_key=lambda: privacy_key(config.privacy, config.state_folder),
            sample=records.samples.put,
            models=Classifiers(self.table, self.routes),
            decided=records.decided,
            record=records.pairs.put,
            copied=self.tracing.tracer.copied,
            poison=self._poison,
            clock=time.monotonic,
            call_soon=loop.call_soon,
            call_at=loop.call_at,
        )
        self._lag = LoopLag(loop)
        logs = config.telemetry.logs
        self._log = RequestLog(
            log,
            logs.format,
            sample=logs.sample,
            slow=config.telemetry.slow,
            tenants=config.usage.tenants,
            chance=random.random,
            wall=time.time,
        )
        self._register(log)
        self._authenticator = authenticator(config, records.records.store)
        self.gate = Gate(
            self._pipeline.stacked(),
            self.table,
            self.routes,
            self._authenticator,
            self.metrics,
            ArmBook(),
            time.monotonic,
            config.timeouts.total,
            audit,
            records.accounts.usage,
            tracer=self.tracing.tracer,
            log=self._log,
        )
        self._control = Control(self.table, self.routes)
        self._decoder = Decoder(config.limits.json_inline, config.limits.json_body)
        self._health = health.HealthServicer()
        self._grpc: aio.Server | None = None
        self._http: HttpServer | None = None
        self._watch: asyncio.Task[None] | None = None

    def apply(self, news: pb.News) -> None:
        """Takes what discovery knows, the routes in force, or what kills backends."""
        if news.HasField("routing"):
            self.routes.apply(news.routing)
            self._pipeline.privacy.prepare(self.routes.table.snapshots())
            self._pipeline.output.prepare(self.routes.table.snapshots())
            self._pipeline.plugins.prepare(self.routes.table.snapshots())
            self._routed = True
        elif news.HasField("poison"):
            now = time.monotonic()
            for each in news.poison.requests:
                self._poison.learn(each.fingerprint, now + each.seconds)
        elif self._routed:  # without its rules a worker serves nothing
            self.table.apply(news.snapshot)

    async def start(self, http: socket.socket | None = None, *, share_grpc_port: bool) -> None:
        """Listens; `http` is an inherited listening socket, the gRPC port is shared by name."""
        await self._authenticator.start()
        await self._records.accounts.start()
        await self._shared.start()
        config = self._config
        bodies = Bodies(config.limits.body, config.limits.bodies or 8 * config.limits.body)
        faces = InferFace(self.gate, self._decoder, bodies)
        actions = {
            "infer": faces.infer,
            "generate": faces.generate,
            "generate_stream": faces.generate_stream,
        }
        openai = OpenAiApi(self.gate, Models(self.table, self.routes), self._decoder, bodies)
        control = control_face(self.gate, self._control)
        app = Dispatch(
            actions, openai.find, control, self.gate.observe, self._records.audit.stranger
        )
        listener = config.listener("http")
        self._http = serve(app, http or listener.address, config.limits, listener.tls)
        self._certificates.append(self._http.certificate)
        await self._http.start()
        await self._start_grpc(share_grpc_port)
        self._decoder.warm_up()
        self._lag.start()
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
        self._lag.stop()
        await self._pipeline.privacy.close()
        await self._pipeline.cache.close()
        await self._shared.close()
        await self._pipeline.mirror.drain(MIRROR_DRAIN)
        await self._pipeline.mirror.close()
        await self._authenticator.close()
        await self.table.close()
        self._decoder.close()
        await self._records.close()
        await asyncio.to_thread(self.tracing.close, RECORDS_CLOSE)

    async def report(self) -> pb.WorkerReport:
        """This worker's metrics as of now, and what it counted since the last report."""
        self.urgent.clear()
        return pb.WorkerReport(
            worker=self._process,
            metrics=await self.metrics.families(),
            routes=self.routes.revision,
            arms=self.gate.arms.take(),
            requests=packed(self.gate.noted.take(time.monotonic()), row_of),
            poison=self._poison.take(),
        )

    async def _start_grpc(self, share_port: bool) -> None:
        config = self._config
        self._grpc = grpc_server.server(
            interceptors=(
                Guard(self.gate.authenticate, self._records.audit.stranger),
                Reading(message_time(config.limits)),
            ),
            options=server_options(config.limits.body, share_port=share_port),
        )
        add_GRPCInferenceServiceServicer_to_server(GrpcFace(self.gate, self._control), self._grpc)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        listener = config.listener("grpc")
        shown = certificate("grpc", listener)
        self._certificates.append(shown)
        bind(self._grpc, listener, shown)
        await self._grpc.start()

    async def _watch_health(self) -> None:
        status = health_pb2.HealthCheckResponse
        while True:
            state = status.SERVING if self._control.ready() else status.NOT_SERVING
            await self._health.set("", state)
            await self._health.set("inference.GRPCInferenceService", state)
            await asyncio.sleep(HEALTH_INTERVAL)

    def _register(self, log: LogWriter) -> None:
        totals, pipeline, records = self.metrics.totals, self._pipeline, self._records
        register(totals, pipeline, records.pairs, records.decisions)
        privacy_metrics.register(totals, pipeline.privacy)
        output_metrics.register(totals, pipeline.output)
        cache_metrics.register(totals, pipeline.cache)
        usage_metrics.register(totals, records.accounts)
        register_picks(totals, pipeline.pick.affinity)
        self._shared.register(totals)
        self.tracing.register(totals)
        endpoints.register(totals, self.table)
        register_lag(totals, self._lag)
        register_log(totals, log, self._log)
        register_process(totals)
        register_tasks(totals, asyncio.get_running_loop())
        certificates.register(totals, self._certificates)
        register_audit(totals, records.audit, pipeline.audit, records.samples, pipeline.samples)

    def _connect(self, address: str, access_key: str) -> Exchange:
        return Exchange(
            address,
            access_key,
            credentials=self._shown_to_backends,
            bounds=self._bounds,
            on_lost=self._budget.reserve_for,
        )
