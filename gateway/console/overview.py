"""The first page: what is wrong, what is asked for, who answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.console import figures
from gateway.console.alarms import Alarm
from gateway.console.frame import empty, heading, listing, live, section, state, unseen
from gateway.console.history import History
from gateway.console.rollouts import chip
from gateway.endpoint_rows import endpoint_row
from gateway.hub import Hub
from gateway.reports.markup import Child, Markup, element, foreign, joined, visible
from gateway.reports.tables import table

_MOST_MODELS = 20  # of one endpoint; `GET /admin/endpoints` tells all
_TONES = {"ready": "good", "draining": "warn", "suspect": "warn", "unhealthy": "bad"}


def overview(
    hub: Hub,
    history: History,
    traffic: Sequence[Markup],
    alarms: Sequence[Alarm],
    rollouts: Mapping[str, Any] | str,
) -> list[Markup]:
    """The page's content; `traffic` as `Traffic` draws it, `rollouts` as `GET /admin/rollouts`
    tells them, or why it can't."""
    return [
        heading("Overview"),
        live("alarms", _alarms(alarms)),
        *traffic,
        live("rollouts", _rollouts(rollouts)),
        live("endpoints", section("Endpoints", _endpoints(hub))),
        live("cache", _cache(history)),
    ]


def _alarms(alarms: Sequence[Alarm]) -> Markup:
    if not alarms:
        return element("p", state("good", "All is well"), class_="calm", role="status")
    items = [
        element(
            "li",
            state(alarm.tone, alarm.title),
            element("p", alarm.sentence),
            element("a", "Look", unseen(f" at {alarm.title}"), href=alarm.link)
            if alarm.link
            else None,
            class_=alarm.tone,
        )
        for alarm in alarms
    ]
    title = element("h2", "Alarms", class_="unseen")
    return element("section", title, listing(*items, class_="alarms"), role="status")


def _rollouts(rollouts: Mapping[str, Any] | str) -> Markup | None:
    if isinstance(rollouts, str):
        return section("Rollouts", empty(rollouts))
    rows: list[list[Child]] = [
        [
            element("a", foreign(each["route"]), href="/rollouts"),
            chip(each["status"]),
            foreign(each["candidate"]),
            f"{each['weight']:g} %",
            figures.bar(each["weight"] / 100, f"{each['weight']:g} % of traffic"),
            visible(each["now"] or each["reason"], 300),
        ]
        for each in rollouts["rollouts"]
        if each["in_force"]
    ]
    if not rows:
        return None
    columns = ("Route", "State", "Candidate", "Share", unseen("Share drawn"), "Now")
    return section("Rollouts", table("Rollouts of the routes in force", columns, rows, "cards"))


def _endpoints(hub: Hub) -> Markup:
    rows = sorted(map(endpoint_row, hub.snapshot.leases), key=lambda row: str(row["instance"]))
    if not rows:
        return empty("No backend has joined.")
    columns = (
        *("Instance", "State", "Runtime", "Queued work", "In flight", "Service p50 · p99"),
        *("Memory", "Models"),
    )
    return table(
        "Backends that have joined this gateway",
        columns,
        [_endpoint(row) for row in rows],
        "cards figures",
    )


def _endpoint(row: dict[str, Any]) -> list[Child]:
    load, place = row["load"], " · ".join(filter(None, (row["runtime"], row["device"])))
    name = joined(foreign(row["instance"]), element("small", foreign(row["address"])))
    budget = load["memory_budget_bytes"]
    used = figures.size(load["memory_used_bytes"]) if load["memory_used_bytes"] else figures.ABSENT
    reason = element("small", visible(row["reason"], 300)) if row["reason"] else None
    return [
        name,
        joined(state(_TONES[row["state"]], row["state"]), reason),
        visible(place),
        figures.duration(load["queued_work_seconds"]) if load["queued_work_seconds"] else "none",
        figures.whole(load["in_flight"]),
        f"{_service(load['service_p50_seconds'])} · {_service(load['service_p99_seconds'])}",
        f"{used} of {figures.size(budget)}" if budget else used,
        _models(row["models"]),
    ]


def _service(seconds: float) -> str:
    return figures.duration(seconds) if seconds else figures.ABSENT


def _models(models: Sequence[dict[str, Any]]) -> Markup:
    # What isn't ready is what somebody looks for.
    shown = sorted(models, key=lambda model: model["state"] == "READY")[:_MOST_MODELS]
    items = [
        element(
            "li",
            foreign(f"{model['name']}/{model['version']}"),
            None if model["state"] == "READY" else state("warn", model["state"].lower()),
            title=visible(model["reason"], 300) or None,
        )
        for model in shown
    ]
    if more := len(models) - len(shown):
        items.append(element("li", f"and {figures.whole(more)} more", class_="dim"))
    return listing(*items, class_="models") if items else element("span", figures.ABSENT)


def _cache(history: History) -> Markup | None:
    found = history.table("penstock_cache_requests")
    if not found:
        return None
    routes: dict[str, dict[str, float]] = {}
    for (_, outcome, route), value in found.items():  # mode, outcome, route
        outcomes = routes.setdefault(route, {})
        outcomes[outcome] = outcomes.get(outcome, 0.0) + value
    rows = [_cached(route, outcomes) for route, outcomes in sorted(routes.items())]
    columns = (
        *("Route", "Answered from the cache", unseen("Share drawn")),
        *("Hits", "Shared", "Misses", "Passed by"),
    )
    caption = "Answers kept and given again, since the gateway started"
    return section("Cache", table(caption, columns, rows, "cards figures"))


def _cached(route: str, outcomes: dict[str, float]) -> list[Child]:
    total = sum(outcomes.values())
    saved = outcomes.get("hit", 0.0) + outcomes.get("coalesced", 0.0)
    part = saved / total if total else 0.0
    return [
        foreign(route),
        figures.share(part),
        figures.bar(part, f"{figures.share(part)} of requests"),
        *(
            figures.whole(outcomes.get(each, 0.0))
            for each in ("hit", "coalesced", "miss", "bypass")
        ),
    ]
