"""Getting in: a link that works once, a button on it, and the way out."""

from gateway.console.frame import Frame, heading
from gateway.reports.markup import Markup, element, foreign
from protos.errors import Kind, PenstockError
from protos.principal import Principal


def invitation(frame: Frame, code: str, principal: Principal) -> Markup:
    """The link's page. It only asks: what looks at links before people do must not use it up."""
    who = foreign(f"{principal.subject}@{principal.tenant}")
    return frame.alone(
        "Log in",
        element("h1", "Log in to the console"),
        element("p", "This link logs one browser in, once, as ", who, "."),
        element(
            "form",
            element("input", type="hidden", name="code", value=code),
            element("button", "Log in", class_="main", autofocus=True),
            action="/login",
            method="post",
        ),
    )


def refused(frame: Frame, error: PenstockError) -> Markup:
    """What somebody sees who may not see the page, or asks for one that isn't there."""
    if error.kind is Kind.UNAUTHENTICATED:
        return frame.alone(
            "Log in",
            element("h1", "You are not logged in"),
            element(
                "p",
                "The console takes a link that works once within ten minutes, and that only an "
                "administrator gets. On the gateway’s machine:",
            ),
            element("pre", "penstock token --admin"),
            element(
                "p",
                "A link that was used, or is older, doesn’t work any more; ask for another. "
                "Sessions end after eight hours and when the gateway is started again.",
                class_="dim",
            ),
        )
    return frame.alone(
        "Not possible",
        heading(f"That isn’t possible ({error.row.http})"),
        element("p", error.message[:1].upper() + error.message[1:] + "."),
        element("p", element("a", "To the overview", href="/")),
    )
