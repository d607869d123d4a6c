"""A narrow line to the backend, and large tensors on it, while small requests go on."""

import json
from pathlib import Path

import aiohttp

from chaos.experiment import Bench, Experiment
from chaos.faults.proxy import FaultProxy, Toxics
from chaos.felt import felt
from chaos.invariants import none_failed
from chaos.site import Site
from chaos.verdict import Verdict

BANDWIDTH = 100_000  # bytes a second of a connection, each way
LARGE = 512 * 1024  # bytes: five seconds to the backend, and five back
RATE = 20.0
BESIDE = 0.25  # seconds; a large tensor would hold up what is behind it for many times that
_CODE = """
def predict(inputs):
    return {"y": inputs["x"]}
"""
_TENSORS = """
inputs: [{name: x, datatype: UINT8, shape: [-1]}]
outputs: [{name: y, datatype: UINT8, shape: [-1]}]
batching: {max: 0}
warmUp: {data: "off"}
"""


async def run(bench: Bench) -> None:
    model = bench.timed()
    _write(model.repository / "long")
    async with FaultProxy() as proxy, bench.site(model) as site:
        site.backend("b0", behind=proxy)
        await site.ready(1)
        await site.ready(1, "long")
        async with bench.load(site, site.caller(RATE)) as load:
            await bench.wait(3.0)
            narrow = bench.now()
            with bench.fault("100 kB/s on each connection to the backend"):
                proxy.both(Toxics(bandwidth=BANDWIDTH))
                begun = bench.now()
                answers = [await _echoed(site) for _ in range(2)]
                ended = bench.now()
                proxy.heal()
            await bench.wait(2.0)
    during = load.history.between(narrow, ended)
    worst = during.quantile(0.99)
    bench.hold(
        none_failed(load.history, "no small request failed"),
        felt("seconds for large tensors", ended - begun, 2 * len(answers) * LARGE / BANDWIDTH),
        Verdict(
            all(answers),
            "large tensors came back whole",
            f"{sum(answers)} of {len(answers)}",
            "all",
        ),
        Verdict(
            worst <= BESIDE,
            "p99 of small requests beside them",
            f"{worst * 1e3:.0f} ms",
            f"≤ {BESIDE * 1e3:.0f} ms",
            timed=True,
        ),
    )
    bench.figure("p50 beside them", f"{during.quantile(0.5) * 1e3:.0f} ms")


def _write(model: Path) -> None:
    model.mkdir()
    (model / "model.py").write_text(_CODE)
    (model / "model.yaml").write_text(_TENSORS)


async def _echoed(site: Site) -> bool:
    """Whether a large tensor came back as it was sent."""
    data = bytes(range(256)) * (LARGE // 256)
    tensor = {
        "name": "x",
        "datatype": "UINT8",
        "shape": [LARGE],
        "parameters": {"binary_data_size": LARGE},
    }
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    headers = {
        "authorization": f"Bearer {site.gateway.token('infer:*')}",
        "inference-header-content-length": str(len(head)),
    }
    url = f"{site.gateway.url}/v2/models/long/infer"
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60.0)) as session,
        session.post(url, data=head + data, headers=headers) as reply,
    ):
        return reply.status == 200 and (await reply.read()).endswith(data)


EXPERIMENT = Experiment(
    "bandwidth-narrow", 3, "large tensors on a narrow line beside small requests", run
)
