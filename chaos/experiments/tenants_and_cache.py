"""Tenants who ask the same of a shared cache, while its store, the model and clients misbehave.

Nobody may be given what was executed for another tenant, and nothing but complete answers may be
kept. On the route `public` tenants share answers on purpose: there the check must find what it
looks for, or it would find nothing anywhere.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from chaos.experiment import Bench, Experiment
from chaos.faults.proxy import FaultProxy, Toxics
from chaos.felt import felt
from chaos.marked import PARTS, UNARY, Marked, Seen, ask, shared_marks
from chaos.probe import Need, find
from chaos.redis_server import RedisServer
from chaos.site import Site
from chaos.verdict import Verdict

TENANTS = ("ant", "bee", "cat")
PUBLIC = "public"
INPUTS = 12  # that all tenants ask for
CLIENTS = 4  # of each tenant
PAUSE = 0.03  # seconds between a client's requests, on average
LEAVE = 0.15  # the share of requests whose client goes away
FAILS = 0.25  # the share of executions, and of parts, that fail
_ROUTE = """
apiVersion: penstock/v1
kind: Route
metadata: {{name: {name}}}
spec:
  match: [{{model: {name}}}]
  backends: [{{name: stable, model: {model}, version: "1"}}]
  cache: {{ttl: 700ms, scope: {scope}}}
"""
_ROUTES = {
    f"{name}.yaml": _ROUTE.format(name=name, model=model, scope=scope)
    for name, model, scope in (
        (UNARY, UNARY, "tenant"),
        (PARTS, PARTS, "tenant"),
        (PUBLIC, UNARY, "route"),
    )
}


async def run(bench: Bench) -> None:
    marked = Marked(bench.folder)
    key = bench.folder / "cache.key"
    key.write_bytes(bench.rng.randbytes(32))
    with RedisServer(find("redis-server"), bench.folder / "redis") as redis:
        async with FaultProxy(redis.port) as proxy:
            settings = f"state: {{url: redis://{proxy.address}}}\ncache: {{keyFile: {key}}}\n"
            async with bench.site(
                bench.timed(), gateways=2, routes=_ROUTES, settings=settings
            ) as site:
                both = ",".join(each.address("discovery") for each in site.gateways)
                site.gateway.start_backend("b0", marked.repository, join=both)
                await site.ready(1, UNARY)
                await site.ready(1, PARTS)
                seen: list[Seen] = []
                async with _asking(bench, site, seen):
                    await bench.wait(3.0)
                    marked.fail(FAILS)
                    with bench.fault("executions fail, the cache's store is disturbed"):
                        await _disturb(bench, proxy)
                    proxy.heal()
                    marked.fail(0.0)
                    await asyncio.sleep(0.3)  # for what had begun to fail
                    healed = bench.step("nothing fails any more")
                    await bench.wait(3.0)
    private = [each for each in seen if each.route != PUBLIC]
    public = [each for each in seen if each.route == PUBLIC]
    after = [each for each in seen if each.at > healed]
    begun = [each for each in seen if each.status == 200]
    crossed = [each for each in begun if not each.said and not each.whole]
    failed = [each for each in after if not each.whole]
    hits = sum(each.cache == "hit" for each in private)
    bench.hold(
        Verdict(
            shared_marks(private) == 0,
            "no tenant was given another's answer",
            f"{shared_marks(private)} of {len({m for each in private for m in each.marks})} marks",
            "0",
        ),
        felt("a tenant's own kept answers", hits, len(private) // 20),
        Verdict(
            shared_marks(public) > 0,
            "the check sees answers that tenants share",
            f"{shared_marks(public)} marks",
            "> 0",
        ),
        Verdict(not crossed, "answers are whole and one's own", f"{len(crossed)} of {len(begun)}"),
        Verdict(
            bool(after) and not failed,
            "no failure was kept",
            f"{len(failed)} of {len(after)} afterwards",
            "0",
        ),
    )
    kept = Counter(each.cache for each in private)
    bench.figure("answers from", ", ".join(f"{name or 'none'} {n}" for name, n in kept.items()))
    bench.figure("failed meanwhile", f"{sum(not each.whole for each in seen)} of {len(seen)}")


async def _disturb(bench: Bench, proxy: FaultProxy) -> None:
    """Connections are reset in mid-reply, cut into bytes, delayed, and refused."""
    for toxics in (
        Toxics(reset_after=2_000),
        Toxics(slices=1),
        Toxics(latency=0.04, jitter=0.03),
        Toxics(bandwidth=20_000),
    ):
        proxy.down = toxics
        await bench.wait(3.0)
        await proxy.cut(reset=True)
    proxy.heal()
    await proxy.refuse()
    await bench.wait(1.5)
    await proxy.accept()


@asynccontextmanager
async def _asking(bench: Bench, site: Site, seen: list[Seen]) -> AsyncIterator[None]:
    """Clients of all tenants, from here to the end of the block."""
    stop = asyncio.Event()
    clients = [
        asyncio.create_task(_client(bench, site, tenant, seen, stop))
        for tenant in TENANTS
        for _ in range(CLIENTS)
    ]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*clients)


async def _client(
    bench: Bench, site: Site, tenant: str, seen: list[Seen], stop: asyncio.Event
) -> None:
    rng = random.Random(bench.rng.random())
    headers = {"authorization": f"Bearer {site.gateway.token('infer:*', tenant=tenant)}"}
    timeout = aiohttp.ClientTimeout(total=15.0)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        while not stop.is_set():
            await asyncio.sleep(rng.expovariate(1 / PAUSE))
            at, number = bench.now(), rng.randrange(INPUTS)
            route = rng.choice((UNARY, PARTS, PUBLIC))
            leaves = rng.uniform(0.0, 0.01) if rng.random() < LEAVE else None
            try:
                async with asyncio.timeout(leaves):
                    given = await ask(session, rng.choice(site.targets), route, number)
            except TimeoutError:
                if leaves is None:
                    given = 0, (), (), "no answer", ""
                else:
                    continue
            seen.append(Seen(at, tenant, route, number, *given))


EXPERIMENT = Experiment(
    "tenants-and-cache",
    12,
    "tenants ask the same while store, model and clients misbehave",
    run,
    needs=(Need.REDIS,),
)
