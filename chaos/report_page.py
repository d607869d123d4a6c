"""The report as one page: no script, nothing fetched; each experiment with its time drawn."""

from collections.abc import Mapping, Sequence

from chaos.document import document
from chaos.experiment import Result
from chaos.history import History
from chaos.promises import PROMISES
from chaos.report_markdown import summary
from chaos.timeline import timeline
from chaos.verdict import Verdict
from gateway.reports.markup import Markup, element, visible

_LONGEST = 600  # characters of a sentence
_CLASSES = {"kept": "met", "broken": "missed", "not run": "open"}


def page(
    found: Sequence[Result], histories: Mapping[str, Mapping[str, History]], machine: str
) -> str:
    """`histories` are those of each experiment by name."""
    sections = [_experiment(each, histories.get(each.name, {})) for each in found]
    return document(
        "Chaos report", summary(found), machine, _overview(found), element("main", *sections)
    )


def _overview(found: Sequence[Result]) -> Markup:
    """The promises, each with its experiments."""
    rows = [
        element(
            "tr",
            element("td", promise),
            element("th", text, scope="row"),
            element("td", *_links([each for each in found if each.promise == promise])),
        )
        for promise, text in PROMISES.items()
        if any(each.promise == promise for each in found)
    ]
    return element("table", element("tbody", *rows), class_="promises wrap")


def _links(found: Sequence[Result]) -> list[Markup]:
    return [
        element("a", each.name, href=f"#{each.name}", class_=f"state {_CLASSES[each.state]}")
        for each in found
    ]


def _experiment(result: Result, histories: Mapping[str, History]) -> Markup:
    state = element("span", result.state, class_=f"state {_CLASSES[result.state]}")
    return element(
        "section",
        element("h3", result.name, " ", state),
        element("p", f"Promise {result.promise}. {result.question}. {result.seconds:.0f} s."),
        element("pre", visible(result.why, _LONGEST)) if result.why else None,
        *[
            _drawn(f"{result.name}-{name}", history, result)
            for name, history in histories.items()
            if len(history)
        ],
        _verdicts(result) if result.verdicts or result.figures else None,
        id=result.name,
    )


def _drawn(name: str, history: History, result: Result) -> Markup:
    told = ", ".join(f"{count:,} {outcome}" for outcome, count in history.outcomes().most_common())
    steps = [
        element("li", f"{step.at:.1f}{f'-{step.until:.1f}' if step.until else ''} s: {step.what}")
        for step in sorted(result.steps, key=lambda each: each.at)
    ]
    return element(
        "figure",
        element("figcaption", f"Latency of {len(history):,} requests ({told})"),
        element(
            "p",
            element("span", element("i", class_="key median"), "median", class_="entry"),
            element("span", element("i", class_="key most"), "slowest", class_="entry"),
            element("span", element("i", class_="key refused"), "refused", class_="entry"),
            element("span", element("i", class_="key bad"), "failed", class_="entry"),
            element("span", element("i", class_="key left"), "client left", class_="entry"),
            class_="legend",
        ),
        timeline(name, history, result.steps),
        element("ol", *steps, class_="steps") if steps else None,
        class_="wide",
    )


def _verdicts(result: Result) -> Markup:
    rows = [_row(each) for each in result.verdicts]
    rows += [
        element(
            "tr",
            element("th", each.what, scope="row"),
            element("td", visible(each.value, _LONGEST)),
            element("td"),
            element("td"),
        )
        for each in result.figures
    ]
    head = element("tr", *[element("th", each) for each in ("", "measured", "wanted", "")])
    return element("table", element("thead", head), element("tbody", *rows), class_="wrap")


def _row(verdict: Verdict) -> Markup:
    state = ("kept", "met") if verdict.holds else ("broken", "missed")
    return element(
        "tr",
        element("th", verdict.what, scope="row"),
        element("td", visible(verdict.measured, _LONGEST)),
        element("td", verdict.wanted),
        element("td", element("span", state[0], class_=f"state {state[1]}")),
    )
