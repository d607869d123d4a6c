"""Third stop: a new version that is worse, and what becomes of it."""

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import Any

from gateway.tour.digits import MODEL, asked
from gateway.tour.guide import Guide
from gateway.tour.load import Load
from gateway.tour.site import Site, until
from routing.rollout.state import TERMINAL

ROUTE = "tour-canary"
_MODEL = "tour-canary"
_IMAGES = 400
_CALLERS = 4
# Which digit the worse version says in place of each.
_MISTAKES = (0, 7, 2, 8, 4, 5, 6, 1, 3, 9)

_DOCUMENT = """\
apiVersion: penstock/v1
kind: Route
metadata: {{name: {route}, owner: tour}}
spec:
  match: [{{model: {route}}}]
  backends:
    - {{name: stable, model: {stable}, version: "1", weight: 80}}
    - {{name: canary, model: {canary}, version: "{version}", weight: 20}}
  sticky: {{key: jwt.sub, salt: tour}}
  mirror:
    - {{backend: canary, model: {canary}, version: "{version}", percent: 100, maxInFlight: 64,
       compare: {{kind: label, noiseFloor: stable}}}}
  rollout:
    steps: [{{setWeight: 20}}, {{analysis: {{for: 30s}}}}, {{setWeight: 100}}]
    analysis:
      baseline: stable
      minSamples: 200
      metrics: [{{name: error_rate, maxDelta: 1pp}}, {{name: disagreement, maxAboveNoise: 2pp}}]
      onFail: rollback
"""


async def visit(site: Site, guide: Guide) -> None:
    guide.stop("A new version that confuses 1 with 7, and 3 with 8, gets a fifth of the callers")
    # Another version each time: what was rolled back once stays so.
    version = str(int(time.time()))
    worse = partial(_worse, site.repository / MODEL / "2" / "model.onnx", version)
    text = _DOCUMENT.format(route=ROUTE, stable=MODEL, canary=_MODEL, version=version)
    with site.model(_MODEL, worse):
        await site.served(_MODEL)
        with site.document(f"{ROUTE}.yaml", text):
            await site.routed(ROUTE)
            questions, _ = asked(site, ROUTE, _IMAGES)
            load = Load(site.address, questions, callers=_CALLERS, once=False)
            running = asyncio.create_task(load.run())
            try:
                await _watch(site, guide, load)
            finally:
                load.stop()
                await running


async def _watch(site: Site, guide: Guide, load: Load) -> None:
    began = time.monotonic()
    with guide.under_way() as ticker:

        async def ended() -> dict[str, Any] | None:
            row = await _rollout(site)
            ticker.tell(
                f"{time.monotonic() - began:4.1f} s  the canary has {row['weight']:g} %;"
                f" {load.seen.arms[f'{ROUTE}/canary']} answers came from it"
            )
            return row if row["status"] in TERMINAL else None

        row = await until("the end of the rollout", ended)
    met = load.seen.arms[f"{ROUTE}/canary"]
    guide.say(
        f"{row['status'].replace('_', ' ')} after {time.monotonic() - began:.0f} s and"
        f" {met} of {load.seen.answered} answers; nobody was asked.",
        "bold",
    )
    guide.say(f"Why: {row['reason']}.")
    guide.say("The test allows looking every second: its false alarms stay under 5 % all the same.")


async def _rollout(site: Site) -> dict[str, Any]:
    rows = (await site.client.rollouts())["rollouts"]
    found = [row for row in rows if row["route"] == ROUTE and row["in_force"]]
    return found[0] if found else {"status": "progressing", "weight": 0, "reason": ""}


def _worse(source: Path, version: str, folder: Path) -> None:
    """The digits model with some of its answers exchanged."""
    import onnx  # of the demo's packages

    model = onnx.load(source)
    (scores,) = model.graph.output
    for node in model.graph.node:
        node.output[:] = ["before" if name == scores.name else name for name in node.output]
    order = onnx.helper.make_tensor("order", onnx.TensorProto.INT64, [10], _MISTAKES)
    model.graph.initializer.append(order)
    exchange = onnx.helper.make_node("Gather", ["before", "order"], [scores.name], axis=1)
    model.graph.node.append(exchange)
    (folder / version).mkdir()
    onnx.save(model, folder / version / "model.onnx")
