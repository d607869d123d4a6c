"""A flood of tokens that name keys which nobody has, each another one."""

from chaos.experiment import Bench, Experiment
from chaos.invariants import none_failed
from chaos.issuer import Issuer, publishing
from chaos.load import Caller
from chaos.verdict import Verdict

STRANGERS = 150  # tokens
APART = 30.0  # seconds between attempts to fetch keys


async def run(bench: Bench) -> None:
    issuer = Issuer("flooded", refresh="5m")
    issuer.publish("key")
    async with (
        publishing(bench.folder, issuer) as settings,
        bench.site(bench.timed(), settings=settings) as site,
    ):
        site.backend("b0")
        await site.ready(1)
        flood = [
            Caller(issuer.token(f"nobody-{number}"), 1.0, "strangers")
            for number in range(STRANGERS)
        ]
        asked, begun = len(issuer.asked), bench.now()
        async with bench.load(site, issuer.caller("key", 30.0), *flood) as load:
            with bench.fault(f"{STRANGERS} unknown keys a second"):
                await bench.wait(32.0)
        ended = bench.now()
    known, strangers = load.history.of_tenant("flooded"), load.history.of_tenant("strangers")
    refused = sum(each.status == 401 for each in strangers)
    fetches = len(issuer.asked) - asked
    most = 1 + int((ended - begun) / APART)
    bench.hold(
        none_failed(known, "tokens of the known key count"),
        Verdict(
            refused == len(strangers) > 0,
            "unknown keys are refused",
            f"{refused} of {len(strangers)}",
            "all",
        ),
        Verdict(
            fetches <= most,
            "unknown keys hardly make anybody fetch",
            f"{fetches} attempts in {ended - begun:.0f} s",
            f"≤ {most}",
        ),
    )


EXPERIMENT = Experiment("unknown-keys", 9, "a flood of tokens with unknown key ids", run)
