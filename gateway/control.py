"""Questions and orders about models, answered from the endpoint table or asked of the backends.

Metadata, readiness and the index come from the table that discovery keeps; configuration,
statistics, loading and unloading are asked of the backends themselves by their unary protocol,
which returns the backend's own error where a directive in a beat could not.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from google.protobuf.message import Message

from gateway.backend_calls import ask
from gateway.routes.current import CurrentRoutes, interface, may_pin, served
from gateway.statistics import add
from protos import discovery_pb2 as discovery
from protos import open_inference_pb2 as oip
from protos.errors import Kind, PenstockError, unknown_model
from protos.principal import Principal
from protos.route.snapshot import RouteSnapshot
from protos.values import Headers, Signature
from routing.endpoint import Endpoint
from routing.endpoints import EndpointTable
from routing.resolve import resolve, signature_of, unknown_version

LOAD_SECONDS = 600.0
# What a backend has done is here with its next beat, which it sends at once.
NEWS_SECONDS = 2.0
NEWS_LOOK = 0.005
# Backends look up every 5 s who bears the gateways' name, and what they find may be as old again.
FOUND_AFTER = 10.0  # seconds

# Which state an index shows when instances disagree: the one nearest to serving.
_BEST_STATE = (
    discovery.READY,
    discovery.LOADING,
    discovery.UNLOADING,
    discovery.UNAVAILABLE,
    discovery.MODEL_STATE_UNSPECIFIED,
)


@dataclass(frozen=True, slots=True)
class IndexEntry:
    name: str
    version: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """A model as clients see it; `versions` are those that are READY, ascending."""

    name: str
    version: str
    versions: tuple[str, ...]
    signature: Signature


class Control:
    """The control side of the public faces; every answer is cut to what the caller may see."""

    def __init__(
        self,
        table: EndpointTable,
        routes: CurrentRoutes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` in seconds; it counts from now that backends look for this gateway."""
        self._table = table
        self._routes = routes
        self._clock = clock
        self._found_at = clock() + FOUND_AFTER
        self._found = False

    def ready(self) -> bool:
        """Whether any model can be served.

        At first, whether every arm that gets requests can: the backends of some find this gateway
        later than others do, and until then another gateway answers for them. Those that aren't
        there at all are waited for `FOUND_AFTER` seconds, and once it was ready for none.
        """
        if not any(
            endpoint.usable and any(endpoint.ready(key) for key in endpoint.models)
            for endpoint in self._table.endpoints()
        ):
            return False
        if not self._found:
            self._found = self._clock() >= self._found_at or self._all_served()
        return self._found

    def _all_served(self) -> bool:
        arms = {arm for route in self._routes.table.snapshots() for arm in route.arms}
        try:
            for arm in arms:
                if arm.weight > 0:
                    resolve(self._table, arm.model, arm.version)
        except PenstockError:
            return False
        return True

    def model_ready(
        self, principal: Principal, model: str, version: str, headers: Headers = ()
    ) -> bool:
        """Whether a request could be served now; raises NOT_FOUND for unknown models."""
        self._authorise(principal, model)
        try:
            target = interface(self._table, self._route(principal, model, headers), model, version)
        except PenstockError as error:
            if error.kind is Kind.UNAVAILABLE:
                return False
            raise
        return any(endpoint.usable for endpoint in self._table.serving(*target))

    def metadata(
        self, principal: Principal, model: str, version: str, headers: Headers = ()
    ) -> Metadata:
        self._authorise(principal, model)
        route = self._route(principal, model, headers)
        name, exact = interface(self._table, route, model, version)
        ready = tuple(
            v
            for v in self._table.versions(name)
            if self._table.serving(name, v) and may_pin(route, model, v)
        )
        return Metadata(model, exact, ready, signature_of(self._table, name, exact))

    def signature(self, principal: Principal, model: str, version: str) -> Signature:
        """The interface that a request to this model and version will meet."""
        return self.metadata(principal, model, version).signature

    def index(self, principal: Principal, *, only_ready: bool) -> list[IndexEntry]:
        """All models that the caller may use or, as an administrator, manage."""
        best: dict[tuple[str, str], discovery.Model] = {}
        for endpoint in self._table.endpoints():
            for key, model in endpoint.models.items():
                if not (principal.may_infer(model.name) or principal.has("admin")):
                    continue
                known = best.get(key)
                if known is None or _rank(model) < _rank(known):
                    best[key] = model
        entries = [
            IndexEntry(m.name, m.version, discovery.ModelState.Name(m.state), m.reason)
            for m in best.values()
            if not only_ready or m.state == discovery.READY
        ]
        own = {entry.name for entry in entries}
        entries += [e for e in self._public(principal, only_ready) if e.name not in own]
        return sorted(entries, key=lambda entry: (entry.name, len(entry.version), entry.version))

    def _public(self, principal: Principal, only_ready: bool) -> Iterator[IndexEntry]:
        """Models that routes give a name of their own, with the versions that serve them."""
        for name in self._routes.table.public:
            if not (principal.may_infer(name) or principal.has("admin")):
                continue
            for arm in self._route(principal, name, ()).arms:
                try:
                    exact = resolve(self._table, arm.model, arm.version)
                except PenstockError as error:
                    if not only_ready:
                        state = discovery.ModelState.Name(discovery.UNAVAILABLE)
                        yield IndexEntry(name, arm.version, state, error.message)
                else:
                    yield IndexEntry(name, exact, discovery.ModelState.Name(discovery.READY), "")

    async def config(
        self, principal: Principal, model: str, version: str, headers: Headers = ()
    ) -> oip.ModelConfig:
        self._authorise(principal, model)
        route = self._route(principal, model, headers)
        name, exact = interface(self._table, route, model, version)
        request = oip.ModelConfigRequest(name=name, version=exact)
        serving = self._table.serving(name, exact)
        endpoint = next((e for e in serving if e.usable), serving[0])
        return (await ask(endpoint, "ModelConfig", request, oip.ModelConfigResponse)).config

    async def statistics(
        self, principal: Principal, model: str, version: str
    ) -> list[oip.ModelStatistics]:
        """Statistics by model and version, added up over the instances that serve it.

        Those of a public model are its arms', by version, under its own name.
        """
        names = {""}
        if model:
            self._authorise(principal, model)
            names = served(self._route(principal, model, ()))
            versions = {each for name in names for each in self._table.versions(name)}
            if not versions:
                raise unknown_model(model)
            if version and version not in versions:
                raise unknown_version(model, version)
        answers = await asyncio.gather(
            *(
                ask(
                    endpoint,
                    "ModelStatistics",
                    oip.ModelStatisticsRequest(name=name, version=version),
                    oip.ModelStatisticsResponse,
                )
                for endpoint in self._table.endpoints()
                for name in names
                if endpoint.possible and any(_is(key, name, version) for key in endpoint.models)
            ),
            return_exceptions=True,
        )
        merged: dict[tuple[str, str], oip.ModelStatistics] = {}
        for answer in answers:
            if isinstance(answer, BaseException):
                continue  # what the others know is more than nothing
            for statistics in answer.model_stats:
                if model:
                    statistics.name = model
                key = (statistics.name, statistics.version)
                if not (principal.may_infer(key[0]) or principal.has("admin")):
                    continue
                if key in merged:
                    add(merged[key], statistics)
                else:
                    merged[key] = statistics
        return [merged[key] for key in sorted(merged)]

    async def load(self, model: str) -> None:
        """Loads (or reloads) the model wherever a backend's repository holds it.

        Returns when requests find it, as clients expect that load first and infer then.
        """
        request = oip.RepositoryModelLoadRequest(model_name=model)
        changed = await self._everywhere(
            "RepositoryModelLoad", request, oip.RepositoryModelLoadResponse, model
        )
        await _until(lambda: all(_has(each, model, discovery.READY) for each in changed))

    async def unload(self, model: str) -> None:
        """Unloads the model everywhere; returns when no request finds it and none is left."""
        request = oip.RepositoryModelUnloadRequest(model_name=model)
        changed = await self._everywhere(
            "RepositoryModelUnload", request, oip.RepositoryModelUnloadResponse, model
        )
        held = (discovery.READY, discovery.UNLOADING)
        await _until(lambda: not any(_has(each, model, *held) for each in changed))

    async def _everywhere(
        self, method: str, request: Message, answer: type[Message], model: str
    ) -> list[Endpoint]:
        """The endpoints that have the model and did as they were told."""
        asked = [each for each in self._table.endpoints() if each.exchange.connected]
        answers = await asyncio.gather(
            *(ask(endpoint, method, request, answer, LOAD_SECONDS) for endpoint in asked),
            return_exceptions=True,
        )
        errors = [a for a in answers if isinstance(a, BaseException)]
        known = [
            e for e in errors if not isinstance(e, PenstockError) or e.kind is not Kind.NOT_FOUND
        ]
        if known:
            raise known[0]
        if len(errors) == len(answers):
            raise unknown_model(model)
        pairs = zip(asked, answers, strict=True)
        return [endpoint for endpoint, got in pairs if not isinstance(got, BaseException)]

    def _route(self, principal: Principal, model: str, headers: Headers) -> RouteSnapshot:
        return self._routes.match(model, principal, headers)

    def _authorise(self, principal: Principal, model: str) -> None:
        if not (principal.may_infer(model) or principal.has("admin")):
            raise unknown_model(model)


def _has(endpoint: Endpoint, model: str, *states: discovery.ModelState) -> bool:
    return any(each.name == model and each.state in states for each in endpoint.models.values())


async def _until(known: Callable[[], bool]) -> None:
    """Waits for the beats that tell what was done; not forever, for a backend may die meanwhile."""
    deadline = time.monotonic() + NEWS_SECONDS
    while not known() and time.monotonic() < deadline:  # noqa: ASYNC110 (off the request path)
        await asyncio.sleep(NEWS_LOOK)


def _is(key: tuple[str, str], model: str, version: str) -> bool:
    return model in ("", key[0]) and version in ("", key[1])


def _rank(model: discovery.Model) -> int:
    return _BEST_STATE.index(model.state)
