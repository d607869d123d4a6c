"""The endpoints that this process can send work to: the registry's snapshot plus what is local.

What discovery says (models, load, lease) is shared by all gateways; what this process has seen for
itself (connections, calls in flight, failures) stays here on purpose.
"""

import asyncio
import time
from collections.abc import Callable, Iterable

from protos import discovery_pb2 as pb
from protos.versions import version_order
from routing.endpoint import Endpoint, ModelKey
from routing.exchange import Exchange

# For so long a model whose backends vanished is called unavailable, not unknown.
LOST_FOR = 600.0  # seconds

Connect = Callable[[str, str], Exchange]  # address, access key


class EndpointTable:
    """Applies snapshots; opens and closes exchanges; answers who serves what."""

    def __init__(self, connect: Connect, clock: Callable[[], float] = time.monotonic) -> None:
        self._connect = connect
        self._clock = clock
        self._endpoints: dict[tuple[str, int], Endpoint] = {}
        self._serving: dict[ModelKey, tuple[Endpoint, ...]] = {}
        self._versions: dict[str, tuple[str, ...]] = {}
        self._revisions: dict[ModelKey, str | None] = {}
        # Models with several endpoints that keep prompts: which of them is asked matters.
        self.keeping: frozenset[ModelKey] = frozenset()
        self._closing: set[asyncio.Task[None]] = set()
        self.revision = 0
        self.settled = False
        self._lost: dict[str, float] = {}  # models whose last endpoint vanished, and when

    def apply(self, snapshot: pb.Snapshot) -> None:
        """Makes the table what the snapshot says.

        Calls on endpoints that left go on where they are answered; a silent one, whose lease is
        over, is given up with them, or they would wait for their deadlines.
        """
        seen: set[tuple[str, int]] = set()
        for lease in snapshot.leases:
            beat = lease.beat
            key = (beat.instance, beat.epoch)
            seen.add(key)
            known = self._endpoints.get(key)
            if known is not None and known.address != beat.address:
                self._retire(self._endpoints.pop(key))
                known = None
            if known is None:
                exchange = self._connect(beat.address, beat.access_key)
                known = self._endpoints[key] = Endpoint(beat, exchange, self._clock)
            known.update(beat, suspect=lease.state == pb.SUSPECT)
        retired = [self._endpoints.pop(key) for key in self._endpoints.keys() - seen]
        for endpoint in retired:
            self._retire(endpoint)
        self.revision = snapshot.revision
        self.settled = snapshot.settled
        before = set(self._versions)
        gone = {name for e in retired for name, _ in e.models if not e.beat.draining}
        self._index()
        now = self._clock()
        for model in before - set(self._versions):
            if model in gone:
                self._lost[model] = now
        for model in [m for m, at in self._lost.items() if now - at > LOST_FOR]:
            del self._lost[model]

    def serving(self, model: str, version: str) -> tuple[Endpoint, ...]:
        """Every endpoint on which exactly this version is READY, usable at the moment or not."""
        return self._serving.get((model, version), ())

    def versions(self, model: str) -> tuple[str, ...]:
        """Versions that any endpoint knows, READY or not, numerically ascending."""
        return self._versions.get(model, ())

    def revision_of(self, model: str, version: str) -> str | None:
        """What all endpoints on which the version is READY report; None if they don't agree."""
        return self._revisions.get((model, version))

    def may_come(self, model: str) -> bool:
        """Whether a model that nobody serves is missed rather than unknown: try again later."""
        return not self.settled or model in self._lost

    def models(self) -> Iterable[str]:
        return self._versions.keys()

    def endpoints(self) -> list[Endpoint]:
        return sorted(self._endpoints.values(), key=lambda endpoint: endpoint.instance)

    async def close(self) -> None:
        """Closes every exchange; whatever is still in flight is lost."""
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*(e.exchange.close() for e in self._endpoints.values()))
        self._endpoints.clear()
        self._index()

    def _index(self) -> None:
        serving: dict[ModelKey, list[Endpoint]] = {}
        versions: dict[str, set[str]] = {}
        # Sorted, so that every gateway sees the same order (the aperture depends on it).
        for endpoint in self.endpoints():
            for key in endpoint.models:
                versions.setdefault(key[0], set()).add(key[1])
                if endpoint.ready(key):
                    serving.setdefault(key, []).append(endpoint)
        self._serving = {key: tuple(endpoints) for key, endpoints in serving.items()}
        self.keeping = frozenset(
            key
            for key, endpoints in serving.items()
            if len(endpoints) > 1 and endpoints[0].signatures[key].openai
        )
        self._revisions = {
            key: _common({each.models[key].revision for each in endpoints})
            for key, endpoints in serving.items()
        }
        self._versions = {
            model: tuple(sorted(found, key=version_order)) for model, found in versions.items()
        }

    def _retire(self, endpoint: Endpoint) -> None:
        endpoint.leave()
        task = asyncio.get_running_loop().create_task(_close_when_idle(endpoint))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def __repr__(self) -> str:
        return f"<EndpointTable revision {self.revision}: {self.endpoints()}>"


def _common(revisions: set[str]) -> str | None:
    return revisions.pop() or None if len(revisions) == 1 else None


async def _close_when_idle(endpoint: Endpoint) -> None:
    exchange = endpoint.exchange
    # Polled: this is off every request's path, and a hook on each reply wouldn't be.
    while exchange.connected and exchange.in_flight:
        if exchange.silent and not endpoint.beat.draining:
            exchange.cut_off("the backend is silent and its lease is over")
        await asyncio.sleep(0.05)
    await exchange.close()
