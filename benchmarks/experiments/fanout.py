"""What does a request cost when calls fan out to 1, 4 and 16 endpoints?

Measured: CPU microseconds per request of the gateway process and of all backend processes together, and
calls per frame, for real HTTP arrivals (wrk, 64 floats of JSON in, 10 out) and a real device thread in each
backend. Variants alternate within each round on the same processes; figures are medians over the rounds.

Prediction: with 64 callers one endpoint costs about 95 + 25 µs (gateway + backends) on the coalesced stream
and unary 400 µs in all. Even spreading makes frames of 64/n calls at best, so 4 endpoints cost about twice
as much as one and 16 come close to unary. An aperture of 3 bounds that at the cost of 3 endpoints; keeping a
turn's calls together wins back most of the difference. Filling one endpoint to a batch before using the next
should cost what one endpoint costs. At 1 caller nothing coalesces: the stream saves only unary's set-up.
Decision rule: rethink if four endpoints cost more than half of unary.

    python -m benchmarks.experiments.fanout [--quick]
"""

from __future__ import annotations

import argparse
import json
import statistics
import urllib.request
from collections import defaultdict
from dataclasses import asdict

import orjson

from benchmarks.experiments.gateway import Variant
from benchmarks.experiments.processes import Child, children, wrk

BODY = orjson.dumps(
    {
        "inputs": [
            {
                "name": "x",
                "shape": [1, 64],
                "datatype": "FP32",
                "data": [n / 7 - 3 for n in range(64)],
            }
        ]
    }
)
VARIANTS = {
    "no forwarding": Variant("none"),
    "unary, spread, 1": Variant("unary"),
    "unary, spread, 4": Variant("unary", endpoints=4),
    "unary, spread, 16": Variant("unary", endpoints=16),
    "stream, 1": Variant(),
    "stream, spread, 4": Variant(endpoints=4),
    "stream, spread, 16": Variant(endpoints=16),
    "stream, aperture 3, spread, 16": Variant(endpoints=16, aperture=3),
    "stream, same turn, 4": Variant(picker="same_turn", endpoints=4),
    "stream, aperture 3, same turn, 4": Variant(picker="same_turn", endpoints=4, aperture=3),
    "stream, aperture 3, same turn, 16": Variant(picker="same_turn", endpoints=16, aperture=3),
    "stream, packed to 32, 4": Variant(picker="packed", endpoints=4),
    "stream, aperture 3, packed to 32, 16": Variant(picker="packed", endpoints=16, aperture=3),
    "stream, sticky to 32, 4": Variant(picker="sticky", endpoints=4),
    "stream, spread, 2 turns, 4": Variant(endpoints=4, turns=2),
    "framed TCP, 1": Variant("framed"),
    "framed TCP, spread, 4": Variant("framed", endpoints=4),
    "framed TCP, spread, 16": Variant("framed", endpoints=16),
    "framed TCP, aperture 3, same turn, 16": Variant(
        "framed", picker="same_turn", endpoints=16, aperture=3
    ),
}
VARIANTS |= {
    f"asyncio loop: {name}": VARIANTS[name]
    for name in (
        "no forwarding",
        "unary, spread, 1",
        "stream, 1",
        "stream, aperture 3, same turn, 16",
    )
}
DEVICE_TIME = {  # 1 ms a batch and 0.2 ms a row: does keeping calls together cost latency?
    f"{name}, 4, busy device": Variant(
        picker=picker, endpoints=4, bound=bound, batch_us=1000, row_us=200
    )
    for name, picker, bound in [
        ("spread", "two_choices", 0),
        ("same turn", "same_turn", 32),
        ("same turn to 8", "same_turn", 8),
        ("packed to 8", "packed", 8),
        ("packed to 32", "packed", 32),
        ("sticky to 32", "sticky", 32),
    ]
}
QUIET = [
    "no forwarding",
    "unary, spread, 4",
    "stream, 1",
    "stream, spread, 4",
    "stream, aperture 3, same turn, 4",
    "stream, packed to 32, 4",
    "framed TCP, spread, 4",
]


def put(url: str, variant: Variant) -> dict[str, int]:
    request = urllib.request.Request(url, json.dumps(asdict(variant)).encode(), method="PUT")
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


def measure(
    variant: Variant, gateway: Child, backends: list[Child], connections: int, seconds: float
) -> dict:
    used = backends[: variant.endpoints] if variant.transport != "none" else []
    url = f"http://127.0.0.1:{gateway.hello['http']}/"
    before = put(url, variant)
    front, back = gateway.cpu(), sum(b.cpu() for b in used)
    load = wrk(url, BODY, connections, seconds)
    front, back = gateway.cpu() - front, sum(b.cpu() for b in used) - back
    after = put(url, variant)
    frames = after["frames"] - before["frames"]
    return {
        "rate": load.rate,
        "p50": load.p50_ms,
        "p99": load.p99_ms,
        "errors": load.errors + bool(load.socket_errors),
        "gateway": front / load.requests * 1e6,
        "backends": back / load.requests * 1e6,
        "frame": (after["calls"] - before["calls"]) / frames if frames else 1.0,
    }


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=int, default=1, help="of load for each figure")
    given = options.parse_args()
    results: dict[tuple[int, str], list[dict]] = defaultdict(list)
    with children() as started:
        backends = [Child("backend") for _ in range(16)]
        started += backends
        ports = [b.ready().hello for b in backends]
        gateways = {
            loop: Child("gateway", json.dumps(ports), loop) for loop in ("uvloop", "asyncio")
        }
        started += gateways.values()
        for gateway in gateways.values():
            gateway.ready()
        for _ in range(1 if given.quick else given.rounds):
            for connections, names in ((64, [*VARIANTS, *DEVICE_TIME]), (16, QUIET), (1, QUIET)):
                for name in names:
                    gateway = gateways["asyncio" if name.startswith("asyncio") else "uvloop"]
                    variant = (VARIANTS | DEVICE_TIME)[name]
                    measured = measure(variant, gateway, backends, connections, given.seconds)
                    results[connections, name].append(measured)
    print(
        "| callers | variant | gateway µs | backends µs | sum µs | calls/frame | requests/s | p50 ms | p99 ms |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for (connections, name), rounds in results.items():
        m = {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}
        assert not m["errors"], name
        both = m["gateway"] + m["backends"]
        print(
            f"| {connections} | {name} | {m['gateway']:.0f} | {m['backends']:.0f} | {both:.0f}"
            f" | {m['frame']:.1f} | {m['rate']:.0f} | {m['p50']:.2f} | {m['p99']:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
