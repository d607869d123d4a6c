"""What other routes would change, as JSON: the recorded requests replayed through them."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from gateway.config import Config
from gateway.routes.decision_log import KEY_FILE, Seal, read_seal
from gateway.routes.folder import load_folder
from gateway.routes.plan_limits import LimitReplay
from gateway.store.engine import Store, StoreError, open_store
from protos.errors import Kind, PenstockError, invalid
from routing.backtest.backtest import Backtest
from routing.backtest.impact import Impact
from routing.rollout.effect import effect
from routing.rollout.identity import rollout_id
from routing.rules.effect import Effect
from routing.rules.loaded import Loaded
from routing.rules.table import RouteTable

VERSION = 1  # of the JSON, which docs/backtest.md describes
_TOLD = 10_000  # records


def answer(
    config: Config, folder: Path, since: float, tell: Callable[[int], None]
) -> dict[str, Any] | None:
    """The JSON for the routes in `folder`; None when nothing was recorded.

    `since` is Unix time; `tell` is called now and then with the number of records read. Raises
    ConfigError for routes that don't hold, INVALID without the key that users were sealed with,
    UNAVAILABLE when the store can't be read.
    """
    routes = load_folder(folder, policies=frozenset()).routes
    seal = _seal(config)
    try:
        store = open_store(config.store_url.render_as_string(hide_password=False))
        try:
            return _replayed(store, routes, seal, since, tell)
        finally:
            store.close()
    except StoreError as error:
        raise PenstockError(Kind.UNAVAILABLE, str(error)) from None
    except SQLAlchemyError as error:
        # Not the error's own text, which may quote a statement's parameters.
        cause = type(getattr(error, "orig", None) or error).__name__
        message = f"the record store can't be read ({cause})"
        raise PenstockError(Kind.UNAVAILABLE, message) from error


def _seal(settings: Config) -> Seal:
    try:
        return read_seal(settings.state_folder)
    except FileNotFoundError:
        raise invalid(
            f"stateFolder: {settings.state_folder} has no {KEY_FILE}; it is where the gateway runs,"
            " and without it no user's arm can be found"
        ) from None
    except ValueError as error:
        raise invalid(f"stateFolder: {error}") from None


def _replayed(
    store: Store,
    routes: tuple[Loaded, ...],
    seal: Seal,
    since: float,
    tell: Callable[[int], None],
) -> dict[str, Any] | None:
    table = RouteTable(routes, _effects(store, routes))
    backtest, limits = Backtest(table, seal.open), LimitReplay()
    count = 0
    for count, decision in enumerate(store.decisions.read(since=since), 1):
        found = backtest.add(decision)
        if found is not None and found.route is not None:
            limits.add(decision, found.route)
        if count % _TOLD == 0:
            tell(count)
    return _answer(table, backtest, limits) if count else None


def _effects(store: Store, routes: tuple[Loaded, ...]) -> dict[str, Effect]:
    """What rollouts under way have made of routes that still ask for the same."""
    states = {state.route: state for state in store.rollouts.all()}
    return {
        each.name: effect(states[each.name], each.route)
        for each in routes
        if each.route.spec.rollout is not None
        and each.name in states
        and states[each.name].id == rollout_id(each.route)
    }


def _answer(table: RouteTable, backtest: Backtest, limits: LimitReplay) -> dict[str, Any]:
    impact = backtest.impact()
    return {
        "version": VERSION,
        "revision": table.revision,
        "records": impact.records,
        "since": impact.since,
        "until": impact.until,
        "users": _users(impact),
        "load": _load(impact),
        "limits": [
            {**asdict(each), "by_tenant": _named("tenant", each.by_tenant)}
            for each in limits.firings(backtest.seconds)
        ],
        "rematched": [
            {"from": before, "to": after, "requests": asdict(each)}
            for (before, after), each in impact.rematched.items()
        ],
        "undetermined": _named("missing", impact.undetermined),
        "refused": _named("reason", impact.refused),
    }


def _users(impact: Impact) -> list[dict[str, Any]]:
    return [
        {
            "route": route,
            "users": asdict(moves.users),
            "moved": asdict(moves.moved),
            "matrix": [
                {"from": before, "to": after, "users": asdict(each)}
                for (before, after), each in moves.matrix.items()
            ],
        }
        for route, moves in impact.moves.items()
    ]


def _load(impact: Impact) -> list[dict[str, Any]]:
    return [
        {
            **target._asdict(),
            "before": asdict(impact.before[target]) if target in impact.before else None,
            "after": asdict(impact.after[target]) if target in impact.after else None,
        }
        for target in sorted({*impact.before, *impact.after})
    ]


def _named(name: str, found: Any) -> list[dict[str, Any]]:
    return [{name: key, "requests": asdict(each)} for key, each in found.items()]
