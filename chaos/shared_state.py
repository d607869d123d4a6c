"""Two gateways whose limits and kept answers lie in a Redis, and what must hold when that is lost.

The model is served under names of their own: `kept` keeps answers, `shares` and `refuses` have
limits well above what is asked for and differ in what they do without the state, `tight` has one
that is asked for twice over.
"""

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import redis

from chaos.experiment import Bench
from chaos.faults.proxy import FaultProxy
from chaos.history import History
from chaos.invariants import no_server_error, none_failed, refusals_say_when
from chaos.load import Load, body
from chaos.probe import find
from chaos.redis_server import RedisServer
from chaos.site import Site
from chaos.verdict import Verdict

RATE = 25.0  # requests a second to each name
LIMIT = 200.0  # of both gateways together
TIGHT = 12.0
PATIENCE = 0.05  # seconds that a request may wait for the state, once
LATE = 0.01  # seconds by which a time-out may be late on an idle machine
KNOWN = 0.1  # seconds until a gateway knows that the state is lost
DIFFERENT = 20  # inputs to `kept`, so that most of its answers are hits
_ROUTE = """
apiVersion: penstock/v1
kind: Route
metadata: {{name: {name}}}
spec:
  match: [{{model: {name}}}]
  backends: [{{name: stable, model: timed, version: "1"}}]
  {more}
"""
_MORE = {
    "kept": "cache: {ttl: 1s}",
    "shares": f"limits: [{{per: route, requests: {LIMIT:g}/s, onStateLost: share}}]",
    "refuses": f"limits: [{{per: route, requests: {LIMIT:g}/s, onStateLost: refuse}}]",
    "tight": f"limits: [{{per: route, requests: {TIGHT:g}/s, burst: {TIGHT:g}}}]",
}


@dataclass(frozen=True, slots=True)
class Shared:
    """The gateways and their Redis, and the proxy by which they reach it if they do by one."""

    site: Site
    server: RedisServer
    proxy: FaultProxy

    def client(self) -> "redis.Redis":
        return redis.Redis(port=self.server.port)

    async def back(self) -> None:
        """Until every gateway reaches its state and shares limits."""
        await self.site.until(lambda: self._refused() == 0, "limits to be shared")
        await self.site.until(
            lambda: self.site.counter("penstock_state_up") >= 2 * len(self.site.gateways),
            "the state to be back",
        )

    async def lost(self) -> None:
        """Until every gateway has noticed."""
        await self.site.until(
            lambda: self._refused() == len(self.site.gateways), "the loss to be noticed"
        )

    def _refused(self) -> int:
        """How many gateways refuse what must not be guessed."""
        count = 0
        for gateway in self.site.gateways:
            with gateway.client("infer:*") as client:
                answer = client.post("/v2/models/refuses/infer", content=body(0))
            count += answer.status_code == 429
        return count


@asynccontextmanager
async def gateways(bench: Bench, *, proxied: bool = False) -> AsyncIterator[Shared]:
    """Ready to be asked, with their Redis."""
    routes = {f"{name}.yaml": _ROUTE.format(name=name, more=more) for name, more in _MORE.items()}
    key = bench.folder / "cache.key"
    key.write_bytes(bench.rng.randbytes(32))
    with RedisServer(find("redis-server"), bench.folder / "redis") as server:
        async with FaultProxy(server.port) as proxy:
            port = proxy.port if proxied else server.port
            settings = f"state: {{url: redis://127.0.0.1:{port}}}\ncache: {{keyFile: {key}}}\n"
            model = bench.timed(row=0.004)
            async with bench.site(model, gateways=2, routes=routes, settings=settings) as site:
                site.backend("b0")
                await site.ready(1)
                shared = Shared(site, server, proxy)
                await shared.back()
                yield shared


async def befall(
    bench: Bench,
    what: str,
    fault: Callable[[Shared], AbstractAsyncContextManager[object]],
    *,
    loses: bool = True,
    proxied: bool = False,
) -> None:
    """Something befalls the Redis and is healed. `loses`: limits can't be shared meanwhile."""
    async with gateways(bench, proxied=proxied) as shared:
        loads = {name: _load(bench, shared.site, name) for name in _MORE}
        async with AsyncExitStack() as stack:
            for load in loads.values():
                await stack.enter_async_context(load)
            await bench.wait(4.0, short=0.8)
            with bench.fault(what):
                begun = bench.now()
                async with fault(shared):
                    if loses:
                        await shared.lost()
                    noticed = bench.now()
                    await bench.wait(8.0, short=1.5)
                    healed = bench.now()
            await shared.back()
            bench.step("shared again")
            await bench.wait(4.0, short=0.8)
    histories = {name: load.history for name, load in loads.items()}
    whole = History([each for history in histories.values() for each in history])
    bench.hold(
        no_server_error(whole),
        none_failed(histories["kept"], "answers are kept or made anew"),
        none_failed(histories["shares"], "limits that may be guessed are"),
        refusals_say_when(whole),
        within_limit(histories["tight"], TIGHT, TIGHT),
        waited_once(whole, begun, healed),
    )
    if loses:
        bench.hold(all_refused(histories["refuses"].between(noticed, healed)))
    usual = whole.between(0.0, begun).quantile(0.99)
    bench.figure("p99 before", f"{usual * 1e3:.0f} ms")
    slowest = whole.between(begun - 0.1, begun + 1.0).quantile(1.0)
    bench.figure("slowest when it began", f"{slowest * 1e3:.0f} ms")


def within_limit(history: History, rate: float, burst: float) -> Verdict:
    """Answers of a limit of `rate` a second, which may begin anew once, as its state is lost."""
    answered = len(history.of("answered"))
    times = [each.sent for each in history]
    seconds = max(times) - min(times) if times else 0.0
    most = 2 * burst + 1.1 * rate * seconds
    return Verdict(
        0 < answered <= most,
        "the limit holds",
        f"{answered} of {len(history)} admitted in {seconds:.1f} s",
        f"≤ {most:.0f}",
    )


def all_refused(history: History) -> Verdict:
    """Where a limit must not be guessed, every request is refused with the time to come again."""
    refused = [each for each in history if each.status == 429]
    return Verdict(
        len(refused) == len(history) > 0,
        "limits that must not be guessed refuse",
        f"{len(refused)} of {len(history)}",
        "all",
    )


def waited_once(history: History, begun: float, healed: float) -> Verdict:
    """Whoever comes before a loss is known waits for 50 ms, and nobody afterwards.

    A request here asks for its limits or for a kept answer, never for both. Each gateway notices
    either loss by itself, within `KNOWN` seconds of asking for the first time.
    """
    usual = history.between(0.0, begun).quantile(0.99)
    times = [each for each in history if begun - KNOWN <= each.planned < healed]
    waited = [each.planned for each in times if each.seconds > usual + PATIENCE / 2]
    slowest = max((each.seconds for each in times), default=float("nan"))
    # As many as are planned before both gateways have asked for both, and have waited in vain.
    most = len(history.between(begun, begun + 2 * KNOWN))
    return Verdict(
        slowest <= usual + PATIENCE + LATE and len(waited) <= most,
        "a lost state is waited for once",
        f"{(slowest - usual) * 1e3:.0f} ms more than p99 at most, {len(waited)} waited",
        f"≤ {PATIENCE * 1e3:.0f} ms and {LATE * 1e3:.0f} for the loop, ≤ {most}",
        timed=True,
    )


def _load(bench: Bench, site: Site, name: str) -> Load:
    settings = {"numbers": itertools.cycle(range(1, DIFFERENT + 1))} if name == "kept" else {}
    return bench.load(
        site, site.caller(RATE), name=name, path=f"/v2/models/{name}/infer", **settings
    )
