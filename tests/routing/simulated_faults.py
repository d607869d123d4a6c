"""What can befall a simulated mesh: its backends, its canary, its gateways and their store."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from protos.errors import Kind, PenstockError
from tests.routing.simulated_routes import NAME
from tests.routing.simulated_store import lost
from tests.routing.simulated_time import at_once

if TYPE_CHECKING:
    from tests.routing.simulated_backend import Backend
    from tests.routing.simulated_gateway import Gateway
    from tests.routing.simulated_mesh import Mesh

PERSON = "ada@risk"

OfBackend = Callable[["Mesh", "Backend"], None]
OfGateway = Callable[["Mesh", "Gateway"], None]


class Crashed(BaseException):
    """A gateway's process is gone; no handler of its own sees that."""


# Of backends.


def killed(mesh: "Mesh", backend: "Backend") -> None:
    mesh.kill(backend)


def drained(mesh: "Mesh", backend: "Backend") -> None:
    backend.draining = True
    now = mesh.loop.time()
    mesh.registry.beat(backend.beat(), now)
    mesh.apply(now)

    def leave() -> None:
        backend.alive = False
        mesh.registry.leave(backend.name, backend.epoch)
        mesh.apply(mesh.loop.time())
        backend.sever()
        mesh.loop.call_later(1.0, backend.start)

    mesh.loop.call_later(2.5, leave)


def reset(mesh: "Mesh", backend: "Backend") -> None:
    backend.cut = True
    backend.sever()
    mesh.loop.call_later(0.1, setattr, backend, "cut", False)


def hung(mesh: "Mesh", backend: "Backend") -> None:
    backend.hung_since = mesh.loop.time()


def slowed(mesh: "Mesh", backend: "Backend") -> None:
    backend.extra = 0.5


def failing(mesh: "Mesh", backend: "Backend") -> None:
    kinds = (Kind.INTERNAL, Kind.BAD_REPLY, Kind.MODEL_FAILED, Kind.OVERLOADED, Kind.INTERRUPTED)
    backend.failing = (mesh.rng.choice((0.3, 1.0)), mesh.rng.choice(kinds))


def partitioned(mesh: "Mesh", backend: "Backend") -> None:
    backend.partitioned = True


OF_BACKENDS: tuple[OfBackend, ...] = (
    killed,
    drained,
    reset,
    hung,
    slowed,
    failing,
    failing,
    partitioned,
)


# Of gateways and people, at any time.


def paused(mesh: "Mesh", gateway: "Gateway") -> None:
    _ordered(gateway, "pause")


def resumed(mesh: "Mesh", gateway: "Gateway") -> None:
    _ordered(gateway, "resume")


def aborted(mesh: "Mesh", gateway: "Gateway") -> None:
    _ordered(gateway, "abort")


def _ordered(gateway: "Gateway", action: str) -> None:
    """Whoever orders is told why it can't be, or gets no answer, and then may look."""
    try:
        at_once(getattr(gateway.rollouts, action)(NAME, PERSON))
    except PenstockError as error:
        if error.kind not in (Kind.INVALID, Kind.NOT_FOUND, Kind.UNAVAILABLE):
            raise
    except Crashed:
        gateway.crash()


def looked(mesh: "Mesh", gateway: "Gateway") -> None:
    at_once(gateway.rollouts.look())


def clock_stepped(mesh: "Mesh", gateway: "Gateway") -> None:
    gateway.offset += mesh.rng.choice((-8.0, -1.5, 1.5, 8.0))


def clock_stepped_and_looked(mesh: "Mesh", gateway: "Gateway") -> None:
    """Further than a lease is long, so that the lead changes hands in the midst of a look."""
    gateway.offset += 6.0
    at_once(gateway.rollouts.look())


def store_down(mesh: "Mesh", gateway: "Gateway") -> None:
    mesh.store_down_until = max(
        mesh.store_down_until, mesh.loop.time() + mesh.rng.uniform(0.5, 4.0)
    )


def document_edited(mesh: "Mesh", gateway: "Gateway") -> None:
    mesh.edit()


OF_GATEWAYS: tuple[OfGateway, ...] = (
    paused,
    resumed,
    resumed,
    resumed,
    aborted,
    clock_stepped,
    store_down,
    document_edited,
)
# While a gateway is in the midst of something, others may do something.
_MEANWHILE = (
    looked,
    *[clock_stepped_and_looked] * 4,
    paused,
    resumed,
    aborted,
)
_CHANCE = 0.03


def meanwhile(mesh: "Mesh", gateway: "Gateway", moment: str) -> None:
    """What happens at a moment of a gateway's work with the store: mostly nothing.

    What goes wrong at "written" was written all the same, and only the answer is lost.
    """
    now = mesh.loop.time()
    if now < mesh.store_down_until:
        mesh.history.troubles.append(now)
        raise lost()
    if mesh.interrupted or not mesh.turbulent or mesh.rng.random() >= _CHANCE:
        return
    mesh.history.troubles.append(now)
    chance = mesh.rng.random()
    if chance < 0.1:
        raise lost()
    if chance < 0.3:
        raise Crashed
    if moment == "written":
        return
    other = next(each for each in mesh.gateways if each is not gateway)
    if not other.up:
        return
    mesh.interrupted = True
    mesh.strike(mesh.rng.choice(_MEANWHILE), other)
    mesh.interrupted = False
