"""Where a described request would go: `penstock routes explain` as a form."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.console import figures
from gateway.console.access import Visitor
from gateway.console.frame import posted_form, state, unseen
from gateway.reports.markup import Child, Markup, element, foreign, joined, visible
from gateway.reports.tables import note, table
from gateway.routes.explain import Choice, Explanation
from gateway.routes.question import Question, question
from protos.errors import PenstockError, invalid
from protos.json_reader import read_object

FIELDS = (
    ("model", "Model", "as the client names it"),
    ("version", "Version", "if the client names one"),
    ("tenant", "Tenant", ""),
    ("subject", "Subject", "the token’s sub"),
    ("issuer", "Issuer", "its name in penstock.yaml"),
)
_BY = {
    "pin": "the client named a version",
    "only arm": "it is the only arm with a weight",
    "sticky": "the sticky key decides, so it is the same every time",
    "chance": "chance decides by weight",
    "refused": "the request is refused",
}


def read_question(form: Mapping[str, str]) -> Question:
    """The form as a question; raises INVALID and names the field that can't be read."""
    asked: dict[str, Any] = {
        name: value for name, _, _ in FIELDS if (value := form.get(name, "").strip())
    }
    headers: dict[str, str] = {}
    for line in filter(str.strip, form.get("headers", "").splitlines()):
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise invalid("headers: each line is a name, a colon and a value")
        headers[name.strip()] = value.strip()
    claims = form.get("claims", "").strip()
    if claims:
        try:
            asked["claims"] = read_object(claims.encode())
        except PenstockError as error:
            raise invalid(f"claims: {error.message}") from None
    return question({**asked, "headers": headers})


def explain_section(
    visitor: Visitor, form: Mapping[str, str], answer: Explanation | str | None
) -> Markup:
    """The form and, if something was asked, the answer; a refusal is a sentence."""
    title = element("h2", "Where would a request go?")
    return element("section", title, _form(visitor, form), _answer(answer), id="explain")


def _form(visitor: Visitor, form: Mapping[str, str]) -> Markup:
    fields = [
        element(
            "label",
            joined(title, element("small", hint) if hint else None),
            element(
                "input",
                name=name,
                value=form.get(name, ""),
                required=name == "model",
                autocomplete="off",
                spellcheck="false",
            ),
        )
        for name, title, hint in FIELDS
    ]
    areas = [
        element(
            "label",
            joined(title, element("small", hint)),
            element("textarea", form.get(name, ""), name=name, spellcheck="false"),
            class_="area",
        )
        for name, title, hint in (
            ("headers", "Headers", "one a line, name: value"),
            ("claims", "Claims", "the token’s other claims, a JSON object"),
        )
    ]
    button = element("div", element("button", "Explain", class_="main"), class_="end")
    return posted_form("/routes#explain", visitor, *fields, *areas, button, class_="form")


def _answer(answer: Explanation | str | None) -> Markup | None:
    if answer is None:
        return None
    if isinstance(answer, str):
        content = [state("bad", "Not understood"), element("p", visible(answer, 600))]
        return element("div", *content, class_="panel answer", role="alert")
    target = answer.target
    if target is not None:
        version = f", version {target['version']}" if target["version"] else ""
        goes = joined(
            "Goes to ",
            element("strong", foreign(answer.arm or target["model"])),
            f": {visible(target['model'])}{version}, as {_BY[answer.chosen_by]}.",
        )
    elif answer.problem:
        goes = joined(state("bad", "Refused"), " ", visible(answer.problem, 600))
    else:
        goes = joined(f"{_BY[answer.chosen_by].capitalize()}.")
    fallback = answer.fallback_from
    return element(
        "div",
        element("h3", "The answer"),
        element("p", goes),
        element("p", foreign(fallback), " can’t serve, so its fallback does.")
        if fallback
        else None,
        table(
            "Arms",
            ("Arm", "Share", unseen("Share drawn"), "Serves", "Instances"),
            map(_choice, answer.arms),
            "cards",
        ),
        _rules(answer),
        _policies(answer),
        class_="panel answer",
        role="status",
    )


def _choice(choice: Choice) -> list[Child]:
    serves = choice.serves
    instances = ", ".join(f"{each.instance} ({each.state})" for each in choice.instances)
    return [
        foreign(choice.name),
        f"{choice.share:g} %",
        figures.bar(choice.share / 100, f"{choice.share:g} %"),
        visible(f"{choice.model}/{serves}")
        if serves
        else visible(choice.problem or figures.ABSENT),
        visible(instances, 400) if instances else figures.ABSENT,
    ]


def _rules(answer: Explanation) -> Markup | None:
    tried = [each for each in answer.rules if each.of_model]
    if not tried:
        return note("No rule of a route is about this model; it is served as its name says.")
    items = [
        element(
            "li",
            foreign(each.route),
            f" ({visible(each.source)}:{each.line}): ",
            visible(each.reason, 300),
            class_="won" if each.won else None,
        )
        for each in tried
    ]
    return joined(
        element("h3", "Rules, the most specific first"), element("ol", *items, role="list")
    )


def _policies(answer: Explanation) -> Markup | None:
    policies = {name: value for name, value in answer.policies.items() if value}
    if not policies:
        return None
    items = [
        joined(element("dt", name.replace("_", " ")), element("dd", _shown(value)))
        for name, value in policies.items()
    ]
    return element(
        "details",
        element("summary", "Policies of the route"),
        element("dl", *items, class_="attributes"),
        id="policies",
    )


def _shown(value: object) -> Markup:
    """A block of a document, on one line."""
    if isinstance(value, Mapping):
        return joined(*(joined(f"{k}: ", _shown(v), "  ") for k, v in value.items() if v))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return joined(*(joined(_shown(each), "; ") for each in value))
    return joined(visible(str(value)))
