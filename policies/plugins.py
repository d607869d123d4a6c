"""Policies from outside: the filter that sends a request through those that its route names.

A package offers one as an entry point of the group `penstock.policies`: a class that is made with
its settings and is then a Filter (`protos/service.py`). Each route has its own.

They stand below privacy, samples and output: what a policy hides, code from outside doesn't see,
and what such code says is looked at as if the model had said it.
"""

import json
import logging
from collections.abc import Awaitable, Iterable, Mapping
from importlib.metadata import entry_points
from typing import Any, Protocol, cast
from weakref import WeakKeyDictionary

from protos.errors import Kind, PenstockError
from protos.incident import frames_of
from protos.route.policies import Plugin
from protos.route.snapshot import RouteSnapshot
from protos.service import Filter, Reply, Service, stack
from protos.settings import Settings
from protos.values import InferRequest
from protos.wording import did_you_mean, quote

log = logging.getLogger(__name__)

GROUP = "penstock.policies"
# What code from outside may raise where it is only loaded: `sys.exit` is no reason to end either.
_FOREIGN = (Exception, SystemExit)


class PluginPolicy(Protocol):
    """What an entry point names. `Settings` is what a route may write under `settings`.

    Made once for each route that names it, in each worker, before the route is in force; what it
    keeps lives until the route or its settings change. It runs on the event loop and must not wait
    for anything but what it awaits; what it raises besides PenstockError is the request's 500.
    """

    Settings: type[Settings]

    def __init__(self, settings: Any) -> None: ...

    def __call__(self, request: InferRequest, service: Service) -> Awaitable[Reply]: ...


_imported: dict[str, type[PluginPolicy]] = {}  # as modules are: once in a process


def load(name: str) -> type[PluginPolicy]:
    """Imports the policy. Raises ValueError with a sentence if it can't be used."""
    if name not in _imported:
        _imported[name] = _import(name)
    return _imported[name]


def settings_of(name: str, written: Mapping[str, object]) -> Settings:
    """What the policy is told; raises ValueError, of which pydantic's say what is wrong where."""
    kind = load(name).Settings
    try:
        return kind.model_validate_json(json.dumps(written))
    except ValueError:
        raise
    except _FOREIGN as error:
        raise ValueError(
            _broken(f"the settings of {quote(name)} can't be checked", error)
        ) from None


def _import(name: str) -> type[PluginPolicy]:
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        there_are = ", ".join(sorted(points)) or "none"
        hint = did_you_mean(name, points)
        raise ValueError(f"no package offers a policy {quote(name)}; there are: {there_are}{hint}")
    try:
        found = points[name].load()
    except _FOREIGN as error:
        raise ValueError(_broken(f"the policy {quote(name)} can't be imported", error)) from None
    settings = getattr(found, "Settings", None)
    if not (isinstance(settings, type) and issubclass(settings, Settings) and callable(found)):
        raise ValueError(f"the policy {quote(name)} is no class with `Settings`")
    return cast(type[PluginPolicy], found)


def _broken(what: str, error: BaseException) -> str:
    """Without its message, in which a secret of the settings may stand; the log has its frames."""
    log.error("%s: %s", what, frames_of(error))
    return f"{what}: {type(error).__name__}"


class Plugins:
    """The filter; `prepare` makes what the routes in force name."""

    def __init__(self) -> None:
        self._current: dict[str, tuple[str, tuple[Filter, ...]]] = {}  # by route, with what it says
        # Requests keep the route that they were matched to, and so its policies.
        self._made: WeakKeyDictionary[RouteSnapshot, tuple[Filter, ...]] = WeakKeyDictionary()

    def prepare(self, routes: Iterable[RouteSnapshot]) -> None:
        """Makes the policies of these routes; those of others end with their last requests.

        One that can't be made is logged, and its route refuses all requests.
        """
        before, self._current = self._current, {}
        for route in routes:
            if not route.spec.plugins:
                continue
            said = _said(route)
            known = before.get(route.name)
            try:
                same = known is not None and known[0] == said
                made = known[1] if known is not None and same else _make(route.spec.plugins)
            except _FOREIGN as error:
                log.error("route %s refuses its requests: %s", route.name, frames_of(error))
                continue
            self._current[route.name] = said, made
            self._made[route] = made

    def __call__(self, request: InferRequest, service: Service) -> Awaitable[Reply]:
        route = request.context.route
        if route is None or not route.spec.plugins:
            return service(request)
        made = self._made.get(route)
        if made is None:
            return _refuse()
        return stack(made, service)(request)


async def _refuse() -> Reply:
    raise PenstockError(Kind.UNAVAILABLE, "a policy of this route can't be applied")


def _said(route: RouteSnapshot) -> str:
    return json.dumps([each.model_dump() for each in route.spec.plugins], sort_keys=True)


def _make(plugins: Iterable[Plugin]) -> tuple[Filter, ...]:
    return tuple(_made(each.policy, each.settings) for each in plugins)


def _made(name: str, settings: Mapping[str, object]) -> Filter:
    return load(name)(settings_of(name, settings))
