"""Rollouts: where each stands, on what evidence, and the gates that a person may press."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote as percent

from gateway.console import figures
from gateway.console.access import Visitor
from gateway.console.frame import empty, heading, listing, live, posted_form, state, unseen
from gateway.reports.markup import Child, Markup, element, foreign, joined, visible
from gateway.reports.tables import note, table

_TONES = {
    "progressing": "good",
    "waiting": "warn",
    "paused": "warn",
    "held": "bad",
    "completed": "good",
    "rolled_back": "bad",
    "aborted": "",
}
_VERDICTS = {"pass": "good", "fail": "bad", "inconclusive": "warn"}
# What each gate does, in the words of whoever is asked whether they mean it.
ACTIONS = {
    "resume": "The rollout goes on. Where it is held for harm, evidence is collected anew, and you "
    "answer for what was seen.",
    "pause": "The steps stop until somebody resumes them; the candidate keeps its traffic, and "
    "harm is still looked for.",
    "abort": "The candidate gets no more traffic. This rollout can’t be taken up again.",
}
_OFFERED = {
    "progressing": ("pause", "abort"),
    "waiting": ("resume", "pause", "abort"),
    "paused": ("resume", "abort"),
    "held": ("resume", "pause", "abort"),
}
_SHOWN = 20  # events

Status = Mapping[str, Any]


def rollouts_page(status: Status | str, visitor: Visitor) -> list[Markup]:
    """All rollouts, as `GET /admin/rollouts` tells them, or why they aren't known."""
    if isinstance(status, str):
        return [heading("Rollouts"), live("rollouts", empty(status))]
    panels = [_panel(each, visitor) for each in status["rollouts"]]
    leads = "this gateway leads them" if status["leads"] else "another replica leads them, or none"
    return [
        heading("Rollouts", f"Looked at once a second; {leads}."),
        live("rollouts", *panels) if panels else live("rollouts", empty("No route has a rollout.")),
    ]


def chip(status: str) -> Markup:
    """A rollout's status as a word with a sign."""
    return state(_TONES[status], status.replace("_", " "))


def confirm_page(route: str, action: str, visitor: Visitor) -> list[Markup]:
    """Asks whether it is meant, before anything is done."""
    return [
        heading(joined(f"{action.capitalize()} the rollout of ", foreign(route), "?")),
        element("p", ACTIONS[action], class_="lead"),
        posted_form(
            _path(route, action),
            visitor,
            element("button", f"Yes, {action}", class_=_button(action)),
            element("a", "No, go back", href="/rollouts", class_="button"),
            class_="actions",
        ),
        note("It is recorded in the audit log under your name before it is done."),
    ]


def _panel(each: Status, visitor: Visitor) -> Markup:
    status = each["status"]
    head = element(
        "div",
        element("h2", foreign(each["route"])),
        chip(status),
        element(
            "p", foreign(each["candidate"]), " against ", foreign(each["baseline"]), class_="aside"
        ),
        class_="head",
    )
    said = each["now"] or each["reason"]
    share = each["weight"] / 100
    split = element(
        "div",
        element("span", f"{each['weight']:g} % of traffic goes to ", foreign(each["candidate"])),
        figures.bar(share, f"{each['weight']:g} %", "bad" if status == "rolled_back" else ""),
        class_="split",
    )
    return element(
        "section",
        head,
        element("p", visible(said[:1].upper() + said[1:], 600)) if said else None,
        _steps(each),
        split,
        _evidence(each),
        _findings(each),
        _gates(each, visitor),
        _history(each),
        class_="panel",
    )


def _steps(each: Status) -> Markup | None:
    if not each["steps"]:
        return None
    done = each["status"] == "completed"
    items = []
    for index, step in enumerate(each["steps"]):
        past, now = done or index < each["step"], not done and index == each["step"]
        items.append(
            element(
                "li",
                step,
                class_="done" if past else "now" if now else None,
                aria_current="step" if now else None,
            )
        )
    return element("ol", *items, class_="steps", role="list", aria_label="Steps")


def _evidence(each: Status) -> Markup | None:
    evidence = each["evidence"]
    if evidence is None:
        return None
    rows: list[list[Child]] = [
        [
            joined(f"{role}: ", foreign(each[role])),
            figures.whole(evidence[role]["requests"]),
            figures.whole(evidence[role]["errors"]),
            figures.share(_part(evidence[role]["errors"], evidence[role]["requests"])),
        ]
        for role in ("candidate", "baseline")
    ]
    pairs = evidence["pairs"]
    seen = table("Evidence at this weight", ("Arm", "Requests", "Errors", "Share"), rows, "cards")
    if not pairs["sampled"]:
        return seen
    text = f"{pairs['compared']:,} of {pairs['sampled']:,} mirrored pairs were compared."
    return joined(seen, note(text))


def _findings(each: Status) -> Markup | None:
    if not each["findings"]:
        return None
    rows = [
        [
            element("code", finding["metric"]),
            state(_VERDICTS[finding["verdict"]], finding["verdict"]),
            visible(finding["reason"].removeprefix(f"{finding['metric']}: "), 400),
        ]
        for finding in each["findings"]
    ]
    return table("What the evidence says", ("Metric", "Verdict", "Why"), rows, "cards")


def _gates(each: Status, visitor: Visitor) -> Markup | None:
    offered = _OFFERED.get(each["status"], ()) if each["in_force"] else ()
    if not offered or not visitor.csrf:
        return None
    links = [
        element(
            "a",
            action.capitalize(),
            unseen(f" the rollout of {visible(each['route'])}"),
            href=_path(each["route"], action),
            class_="button harm" if action == "abort" else "button",
        )
        for action in offered
    ]
    return element("div", *links, class_="actions")


def _history(each: Status) -> Markup | None:
    events = list(reversed(each["history"]))[:_SHOWN]
    if not events:
        return None
    items = [
        element(
            "li",
            figures.clock(event["at"]),
            element("strong", visible(event["action"])),
            f" by {visible(event['actor'])}: {visible(event['reason'], 400)}",
        )
        for event in events
    ]
    return element(
        "details",
        element("summary", "What has happened"),
        listing(*items, class_="history"),
        id=f"history-{each['rollout']}",
    )


def _button(action: str) -> str:
    return "main harm" if action == "abort" else "main"


def _path(route: str, action: str) -> str:
    return f"/rollouts/{percent(route, safe='')}/{action}"


def _part(some: float, of: float) -> float:
    return some / of if of else 0.0
