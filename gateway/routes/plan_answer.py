"""What other routes would change, as JSON: recorded requests replayed through both.

The routes in force are those of the configuration's folder, with what rollouts have made of them.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from gateway.config import Config
from gateway.routes.decision_log import KEY_FILE, Seal, read_key
from gateway.routes.folder import load_folder
from gateway.routes.plan_limits import Firing, LimitReplay
from gateway.store.engine import Store, open_store
from gateway.store.failure import StoreError
from protos.errors import Kind, PenstockError, invalid
from routing.backtest.backtest import Backtest
from routing.backtest.impact import Impact
from routing.evidence.interval import Interval
from routing.rollout.effect import effect
from routing.rollout.identity import rollout_id
from routing.rules.effect import Effect
from routing.rules.loaded import Loaded
from routing.rules.table import RouteTable

VERSION = 1  # of the JSON, which docs/backtest.md describes
_TOLD = 10_000  # records

_Routes = tuple[Loaded, ...]


def answer(
    config: Config, folder: Path, since: float, tell: Callable[[int], None]
) -> dict[str, Any] | None:
    """The JSON for the routes in `folder`; None when nothing was recorded.

    `since` is Unix time; `tell` is called now and then with the number of records read. Raises
    ConfigError for routes that don't hold, INVALID without the key that users were sealed with,
    UNAVAILABLE when the store can't be read.
    """
    proposed = _routes(folder)
    in_force = () if config.routes is None else _routes(config.routes)
    seal = _seal(config)
    try:
        store = open_store(config.store_url.render_as_string(hide_password=False), make=False)
        try:
            return _replayed(store, in_force, proposed, seal, since, tell)
        finally:
            store.close()
    except StoreError as error:
        raise PenstockError(Kind.UNAVAILABLE, str(error)) from None
    except SQLAlchemyError as error:
        # Not the error's own text, which may quote a statement's parameters.
        cause = type(getattr(error, "orig", None) or error).__name__
        message = f"the record store can't be read ({cause})"
        raise PenstockError(Kind.UNAVAILABLE, message) from error


def _routes(folder: Path) -> _Routes:
    return load_folder(folder).routes


def _seal(settings: Config) -> Seal:
    try:
        return Seal(read_key(settings.state_folder, settings.decisions.key_file))
    except FileNotFoundError:
        raise invalid(
            f"stateFolder: {settings.state_folder} has no {KEY_FILE}; it is where the gateway runs,"
            " and without it no user's arm can be found"
        ) from None
    except ValueError as error:
        raise invalid(f"stateFolder: {error}") from None


def _replayed(
    store: Store,
    in_force: _Routes,
    proposed: _Routes,
    seal: Seal,
    since: float,
    tell: Callable[[int], None],
) -> dict[str, Any] | None:
    now, then = (RouteTable(each, _effects(store, each)) for each in (in_force, proposed))
    backtest = Backtest(now, then, seal.open)
    limits = LimitReplay(), LimitReplay()
    count = 0
    for count, decision in enumerate(store.decisions.read(since=since), 1):
        for replay, found in zip(limits, backtest.add(decision) or (), strict=False):
            if found.route is not None:
                replay.add(decision, found.route)
        if count % _TOLD == 0:
            tell(count)
    if not count:
        return None
    before, after = (each.firings(backtest.seconds) for each in limits)
    return {
        "version": VERSION,
        "revision": then.revision,
        "in_force": now.revision,
        **_answer(backtest.impact()),
        "limits": _limits(before, after),
    }


def _effects(store: Store, routes: _Routes) -> dict[str, Effect]:
    """What rollouts have made of routes that still ask for the same."""
    states = {state.route: state for state in store.rollouts.all()}
    return {
        each.name: effect(states[each.name], each.route)
        for each in routes
        if each.route.spec.rollout is not None
        and each.name in states
        and states[each.name].id == rollout_id(each.route)
    }


def _answer(impact: Impact) -> dict[str, Any]:
    return {
        "records": impact.records,
        "elsewhere": impact.elsewhere,
        "complete": impact.complete,
        "since": impact.since,
        "until": impact.until,
        "users": _users(impact),
        "load": _load(impact),
        "rematched": [
            {"from": before, "to": after, "requests": asdict(each)}
            for (before, after), each in impact.rematched.items()
        ],
        "undetermined": _named("missing", impact.undetermined),
        "refused": _named("reason", impact.refused),
        "unserved": asdict(impact.unserved),
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


def _limits(before: Sequence[Firing], after: Sequence[Firing]) -> list[dict[str, Any]]:
    """Each limit once, as it is written: one that is changed is another."""
    found = _written(before), _written(after)
    return [
        {
            **dict(zip(("route", "per", "limit", "mode"), key, strict=False)),
            **{
                when: None if key not in fired else _fired(fired[key])
                for when, fired in zip(("before", "after"), found, strict=True)
            },
        }
        for key in sorted({**found[0], **found[1]})
    ]


def _written(firings: Sequence[Firing]) -> dict[tuple[str, str, str, str, int], Firing]:
    """By what each limit says, and which it is of those that say the same."""
    times: Counter[tuple[str, str, str, str]] = Counter()
    found: dict[tuple[str, str, str, str, int], Firing] = {}
    for each in firings:
        key = each.route, each.per, each.limit, each.mode
        found[*key, times[key]] = each
        times[key] += 1
    return found


def _fired(firing: Firing) -> dict[str, Any]:
    return {
        "refused": asdict(firing.refused),
        "undetermined": asdict(firing.undetermined),
        "by_tenant": _named("tenant", firing.by_tenant),
    }


def _named(name: str, found: Mapping[str, Interval]) -> list[dict[str, Any]]:
    return [{name: key, "requests": asdict(each)} for key, each in found.items()]
