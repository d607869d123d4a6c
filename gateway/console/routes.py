"""Routes in force, who applies them, and whether their arms are served."""

from collections.abc import Mapping

from gateway.console import figures
from gateway.console.access import Visitor
from gateway.console.explain import explain_section
from gateway.console.frame import empty, heading, listing, live, section, state, unseen
from gateway.hub import Hub
from gateway.reports.markup import Child, Markup, element, foreign, joined, visible
from gateway.reports.tables import table
from gateway.routes.explain import Explanation
from gateway.rules import Rules
from protos.route.snapshot import RouteSnapshot


def routes_page(
    hub: Hub,
    rules: Rules,
    visitor: Visitor,
    form: Mapping[str, str],
    answer: Explanation | str | None,
) -> list[Markup]:
    """`answer` is what came of the question in `form`: a refusal is a sentence."""
    return [
        heading("Routes"),
        live("routes", _in_force(hub, rules), _routes(rules)),
        *([explain_section(visitor, form, answer)] if visitor.csrf else []),
    ]


def _in_force(hub: Hub, rules: Rules) -> Markup:
    keeper = rules.keeper
    workers = [
        element(
            "li",
            f"worker {visible(worker)} ",
            state("good", "applies it")
            if applied == keeper.revision
            else state("warn", f"is at {visible(applied[:12]) or 'none'}"),
        )
        for worker, applied in sorted(hub.applied.items())
    ]
    facts: tuple[tuple[str, Child], ...] = (
        ("Hash in force", element("code", keeper.revision[:16], title=keeper.revision)),
        ("Applied", figures.clock(keeper.applied_at) if keeper.applied_at else figures.ABSENT),
        (
            "The folder",
            state("bad", "is refused") if keeper.problem else state("good", "is in force"),
        ),
        ("Workers", listing(*workers, class_="models")),
    )
    problem = None
    if keeper.problem:
        problem = element("pre", visible(keeper.problem, 2000))
    items = [element("div", element("dt", name), element("dd", value)) for name, value in facts]
    return section("In force", element("dl", *items, class_="facts"), problem)


def _routes(rules: Rules) -> Markup:
    snapshots = rules.keeper.table().snapshots()
    rows = [row for route in snapshots for row in _arms(route, rules.unserved)]
    if not rows:
        return empty("There are no route documents: each model is served under its own name.")
    columns = ("Route", "Arm", "Model", "Weight", unseen("Share drawn"), "Fallback", "State")
    return table("Arms and mirrors of each route", columns, rows, "cards")


def _arms(route: RouteSnapshot, unserved: Mapping[str, str]) -> list[list[Child]]:
    total = sum(arm.weight for arm in route.arms)
    rows: list[list[Child]] = []
    for arm in route.arms:
        part = arm.weight / total if total else 0.0
        rows.append(
            [
                _named(route, bool(rows)),
                foreign(arm.name),
                visible("/".join(filter(None, (arm.model, arm.version)))),
                f"{arm.weight:g}",
                figures.bar(part, f"{figures.share(part)} of the route"),
                foreign(arm.fallback) if arm.fallback else figures.ABSENT,
                _served(f"{route.name}/{arm.name}", unserved),
            ]
        )
    for mirror in route.mirrors:
        rows.append(
            [
                _named(route, bool(rows)),
                joined(foreign(mirror.backend), element("small", "mirror")),
                visible("/".join(filter(None, (mirror.model, mirror.version)))),
                f"{mirror.percent:g} %",
                figures.bar(mirror.percent / 100, f"{mirror.percent:g} % are copied"),
                figures.ABSENT,
                _served(f"{route.name}/{mirror.backend}", unserved),
            ]
        )
    return rows


def _named(route: RouteSnapshot, again: bool) -> Child:
    return element("span", foreign(route.name), class_="again") if again else foreign(route.name)


def _served(name: str, unserved: Mapping[str, str]) -> Markup:
    problem = unserved.get(name)
    if problem is None:
        return state("good", "served")
    return joined(state("bad", "not served"), element("small", visible(problem, 300)))
