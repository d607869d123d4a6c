"""The web servers of many issuers fail, each in a way of its own, when keys are fetched again."""

import time

from chaos.experiment import Bench, Experiment
from chaos.felt import felt
from chaos.invariants import none_failed
from chaos.issuer import HANGS, Issuer, publishing, reply

SAYS = {
    "fails": reply("500 Internal Server Error"),
    "moved": reply("302 Found", b"", "location: https://localhost/elsewhere"),
    "empty": reply("200 OK", b'{"keys": []}'),
    "text": reply("200 OK", b"<html>It works!</html>"),
    "nested": reply("200 OK", b"[" * 100_000),
    "huge": reply("200 OK", b" " * 2_000_000),
    "cut": b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{",
    "noise": b"\x00\xff\x00\xff\r\n\r\n",
    "hangs": HANGS,
}


async def run(bench: Bench) -> None:
    issuers = [Issuer(name) for name in SAYS]
    for issuer in issuers:
        issuer.publish("key")
    async with (
        publishing(bench.folder, *issuers) as settings,
        bench.site(bench.timed(), settings=settings) as site,
    ):
        site.backend("b0")
        await site.ready(1)
        before = [issuer.caller("key", 2.0) for issuer in issuers]
        async with bench.load(site, *before, name="before"):
            await bench.wait(1.0)
        for issuer in issuers:
            issuer.says = SAYS[issuer.name]
        with bench.fault("every issuer fails"):
            load = bench.load(site, *before)
            async with load:
                begun = time.monotonic()
                await site.until(
                    lambda: len(_asked_since(issuers, begun)) == len(SAYS), "attempts to fail"
                )
                await bench.wait(6.0)  # longer than an attempt may take
            # Tokens that were verified are remembered, these were not.
            after = [issuer.caller("key", 5.0) for issuer in issuers]
            async with bench.load(site, *after, name="new tokens") as new:
                await bench.wait(1.0)
    bench.hold(
        none_failed(load.history, "known tokens count while issuers fail"),
        none_failed(new.history, "new tokens of known keys do"),
        felt("issuers that were asked, in vain", len(_asked_since(issuers, begun)), len(SAYS)),
    )


def _asked_since(issuers: list[Issuer], begun: float) -> list[Issuer]:
    return [issuer for issuer in issuers if any(at > begun for at in issuer.asked)]


EXPERIMENT = Experiment(
    "issuers-misbehave", 9, "issuers fail, hang and talk nonsense when asked for keys", run
)
