"""The disk is full under a gateway that must not serve what it can't record."""

from chaos.experiment import Bench, Experiment
from chaos.faults.disk import full
from chaos.invariants import no_server_error, none_failed, refusals_say_when
from chaos.load import body
from chaos.verdict import Verdict

SETTINGS = "audit: {onFailure: refuse}\n"


async def run(bench: Bench) -> None:
    async with bench.site(bench.timed(), settings=SETTINGS) as site:
        site.backend("b0")
        await site.ready(1)
        with site.gateway.client("infer:*") as client:

            def refused() -> bool:
                return client.post("/v2/models/timed/infer", content=body(0)).status_code == 503

            async with bench.load(site, site.caller(40.0)) as load:
                await bench.wait(2.0)
                with bench.fault("the disk is full"), full(site.gateway.gateway):
                    begun = bench.now()
                    await site.until(refused, "requests to be refused")
                    noticed = bench.now()
                    await bench.wait(3.0)
                    healed = bench.now()
                await site.until(lambda: not refused(), "requests to be served again")
                back = bench.now()
                await bench.wait(2.0)
    during = load.history.between(noticed, healed)
    refusals = sum(each.status == 503 for each in during)
    bench.hold(
        none_failed(load.history.between(0.0, begun), "none failed before"),
        no_server_error(load.history, but=(503,)),
        refusals_say_when(load.history),
        Verdict(
            refusals == len(during) > 0,
            "what can't be recorded isn't served",
            f"{refusals} of {len(during)}",
            "all",
        ),
        none_failed(load.history.between(back, float("inf")), "none failed afterwards"),
    )


EXPERIMENT = Experiment(
    "disk-full-refused", 10, "the disk is full and nothing may go unrecorded", run
)
