"""What a mesh has come to: whether its backends serve again, and its gateways agree."""

from typing import TYPE_CHECKING

from gateway.rollout.controller import LOOK_INTERVAL
from routing.rollout.identity import rollout_id
from routing.rollout.state import TERMINAL
from tests.routing.simulated_routes import CANARY, NAME

if TYPE_CHECKING:
    from tests.routing.simulated_mesh import Mesh


def out_of_service(mesh: "Mesh") -> list[str]:
    """Backends that don't serve what they should; a canary that does harm may be kept out."""
    found = []
    for backend in mesh.backends.values():
        for version in backend.versions:
            if version == CANARY["version"] and mesh.spoilt is not None:
                continue
            key = NAME, version
            endpoint = {e.instance: e for e in mesh.table.serving(*key)}.get(backend.name)
            if endpoint is None:
                found.append(f"{backend.name} has no {version} in the table")
            elif not endpoint.usable or mesh.pick.outliers.excludes(endpoint, key):
                found.append(f"{endpoint} {endpoint.breakers}")
    return found


def unsettled(mesh: "Mesh") -> list[str]:
    """Gateways that have something else in force than is written, and rollouts without a leader."""
    state = mesh.rows.states.get(NAME)
    route = mesh.document.route
    if route.spec.rollout is None:
        return [] if state is None else ["there is a rollout that nobody asked for"]
    if state is None or state.id != rollout_id(route):
        return ["the rollout didn't begin"]
    found = []
    heard = mesh.loop.time() - mesh.rows.written[-1].at > 2 * LOOK_INTERVAL
    for gateway in mesh.gateways if heard else ():
        effect = gateway.effects.get(NAME)
        if effect is None or (effect.rollout, effect.weight) != (state.id, state.weight):
            found.append(f"{gateway.name} has {effect} in force, not {state}")
    if state.status not in TERMINAL and sum(g.rollouts.leads for g in mesh.gateways) != 1:
        found.append("not exactly one gateway leads")
    return found


def counters(mesh: "Mesh") -> dict[str, int]:
    return {
        "retries": mesh.retry.retries,
        "hedges": mesh.hedge.hedges,
        "ejections": mesh.pick.outliers.ejections,
        "panics": mesh.pick.panics,
        "refusals": mesh.circuit.refusals,
        "fallbacks": mesh.split.fallbacks,
        "deposed": mesh.rows.deposed,
        "overtaken": mesh.rows.overtaken,
    }
