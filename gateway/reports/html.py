"""A report as one page: no script, nothing fetched, readable from 360 pixels to paper."""

from collections.abc import Sequence
from importlib.resources import files

from gateway.reports.figures import bullet
from gateway.reports.markup import Markup, element, foreign, joined, visible
from gateway.reports.sections import sections
from gateway.reports.svg import share
from gateway.reports.wording import (
    HEADLINES,
    STATES,
    bound,
    candidate,
    check_title,
    figure,
    moment,
    primary,
    window,
)
from routing.shadow.report import Report
from routing.shadow.verdict import Check, Decision, State
from routing.shadow.wording import count, percent, point_range, points, ratio_range

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_SENTENCE = 2000  # characters; a reason may quote a segment's name

# Drawn rather than typed: fonts differ in what they have. Shape and words say what colour says.
_SHAPES = {
    "tick": "M5 12.5l4.5 4.5L19 7.5",
    "cross": "M6.5 6.5l11 11M17.5 6.5l-11 11",
    "dash": "M6.5 12h11",
}
_URGENCY: tuple[State, ...] = ("missed", "open", "met")
_ICONS: dict[State | Decision, str] = {
    "met": "tick",
    "missed": "cross",
    "open": "dash",
    "promote": "tick",
    "dont": "cross",
    "not_enough_evidence": "dash",
}


def page(reports: Sequence[Report]) -> str:
    """The document with a report for each candidate of one route."""
    route = reports[0].route
    title = f"Shadow report: {visible(route)}"
    named = [(f"candidate-{index}", report) for index, report in enumerate(reports, start=1)]
    return "<!doctype html>\n" + element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="color-scheme", content="light dark"),
            element("meta", name="referrer", content="no-referrer"),
            element("title", title),
            element("style", _style()),
        ),
        element(
            "body",
            element(
                "header",
                element("p", "Penstock", class_="brand"),
                element("h1", "Shadow report ", element("span", foreign(route))),
            ),
            _contents(named) if len(named) > 1 else None,
            element("main", *[_article(name, report) for name, report in named]),
            element("footer", *_method(reports[0])),
        ),
        lang="en",
    )


def _style() -> Markup:
    return Markup(files("gateway.reports").joinpath("report.css").read_text(encoding="utf-8"))


def _contents(named: Sequence[tuple[str, Report]]) -> Markup:
    links = [
        element(
            "li",
            element("a", foreign(f"{report.mirror}: {candidate(report)}"), href=f"#{name}"),
            " ",
            _state(report.verdict.decision, HEADLINES[report.verdict.decision]),
        )
        for name, report in named
    ]
    return element("nav", element("ul", *links), aria_label="Candidates")


def _article(name: str, report: Report) -> Markup:
    verdict = report.verdict
    # What decided comes first.
    checks = sorted(verdict.checks, key=lambda check: _URGENCY.index(check.state))
    facts = (
        ("Candidate", foreign(candidate(report))),
        ("Mirror", foreign(report.mirror)),
        ("Compared with", foreign(primary(report))),
        ("By", foreign(", ".join(kind for kind, _ in report.kinds))),
        ("Pairs", f"{count(report.samples.compared)} of {count(report.samples.sampled)} compared"),
        ("Time", f"{window(report.now - report.since)} until {moment(report.now)}"),
    )
    return element(
        "article",
        element(
            "div",
            _icon(verdict.decision),
            element(
                "div",
                element("h2", HEADLINES[verdict.decision], id=f"{name}-title"),
                element("p", _unbroken(visible(verdict.reason, _SENTENCE)), class_="reason"),
            ),
            class_=f"verdict {verdict.decision}",
        ),
        element(
            "dl",
            *[element("div", element("dt", term), element("dd", value)) for term, value in facts],
            class_="facts",
        ),
        element("ul", *[_check(check) for check in checks], class_="checks"),
        *sections(name, report),
        id=name,
        aria_labelledby=f"{name}-title",
    )


def _unbroken(sentence: str) -> str:
    """The sentence, in which no line ends between a number and its unit."""
    return sentence.replace(" pp", "\u00a0pp").replace(" %", "\u00a0%")


def _check(check: Check) -> Markup:
    return element(
        "li",
        element("h3", check_title(check)),
        element("p", figure(check, check.value), class_="value"),
        _state(check.state, STATES[check.state]),
        bullet(check) or _share(check),
        element("p", _range(check), bound(check), class_="bounds"),
        class_=check.state,
    )


def _range(check: Check) -> Markup | None:
    interval = check.interval
    if interval is None:
        return None
    text = ratio_range if check.name.startswith("latency_") else point_range
    return joined(element("span", text(interval)), " · ")


def _share(check: Check) -> Markup | None:
    """How far a count has come to what it takes."""
    if not check.bound:
        return None
    done = min(1.0, check.value / check.bound) if check.name == "samples" else check.value
    bar = element("i", style=f"width:{share(done)}")
    return element("div", bar, class_="share", aria_hidden="true")


def _state(state: State | Decision, text: str) -> Markup:
    return element("span", _icon(state), text, class_=f"state {state}")


def _icon(state: State | Decision) -> Markup:
    path = element("path", d=_SHAPES[_ICONS[state]])
    return element("svg", path, viewBox="0 0 24 24", class_="icon", aria_hidden="true")


def _method(report: Report) -> Sequence[Markup]:
    criteria = report.criteria
    bounds = (
        f"The bounds are those of {criteria.source}: disagreement at most "
        f"{points(criteria.max_above_noise)} above noise, failures at most "
        f"{points(criteria.max_error_delta)} more than the primary’s, at least "
        f"{count(criteria.min_samples)} compared pairs and {percent(criteria.min_coverage)} "
        f"coverage."
    )
    return (
        element("h2", "How to read this"),
        element(
            "p",
            "The candidate got copies of real requests; nobody saw its answers. Promote means that "
            "every interval lies within its bound, don’t promote that one lies beyond it. Between "
            "them the evidence doesn’t suffice, whatever the middle of an interval says.",
        ),
        element(
            "p",
            "Disagreement above noise is how often the candidate differs from the primary beyond "
            "how often the primary differs from itself, asked the same twice. Where it was never "
            "asked twice, every difference counts as the candidate’s.",
        ),
        element("p", bounds),
        element(
            "p",
            "The intervals are for one look. Who looks every hour until they please will be "
            "pleased; rollouts use intervals that allow it.",
        ),
    )
