"""The frame of every page: title, navigation, who is logged in, and what the script brings up to
date."""

from dataclasses import dataclass

from gateway.console.access import CSRF, Visitor
from gateway.reports.markup import Child, Markup, element, foreign, joined

PAGES = (
    ("/", "Overview"),
    ("/requests", "Requests"),
    ("/rollouts", "Rollouts"),
    ("/routes", "Routes"),
    ("/usage", "Usage"),
    ("/shadow", "Shadow"),
)


@dataclass(frozen=True, slots=True)
class Frame:
    """What is the same on all pages: this gateway's name, and the version of its files."""

    gateway: str
    assets: str  # a hash of the files that pages load, so that new ones are fetched

    def page(self, title: str, current: str, visitor: Visitor, *content: Child) -> Markup:
        """A page for an administrator; `current` is the path of the navigation's entry."""
        links = [
            element(
                "li",
                element("a", name, href=path, aria_current="page" if path == current else None),
            )
            for path, name in PAGES
        ]
        header = element(
            "header",
            element("a", _mark(), "Penstock", href="/", class_="brand"),
            element("nav", element("ul", *links), aria_label="Console"),
            element(
                "div",
                element("span", foreign(self.gateway), class_="gateway", title="This gateway"),
                self._who(visitor),
                class_="who",
            ),
            class_="top",
        )
        return self._document(
            title,
            element("a", "To the content", href="#content", class_="skip"),
            header,
            element("main", *content, id="content", tabindex="-1"),
        )

    def alone(self, title: str, *content: Child) -> Markup:
        """A page for somebody who is not logged in."""
        brand = element("p", _mark(), "Penstock", class_="brand")
        return self._document(title, element("main", brand, *content, class_="alone"))

    def _document(self, title: str, *body: Child) -> Markup:
        return element(
            "html",
            element(
                "head",
                element("meta", charset="utf-8"),
                element("meta", name="viewport", content="width=device-width, initial-scale=1"),
                element("meta", name="color-scheme", content="light dark"),
                element("title", f"{title} · Penstock"),
                element(
                    "link", rel="icon", href=f"/console.svg?{self.assets}", type="image/svg+xml"
                ),
                element("link", rel="stylesheet", href=f"/console.css?{self.assets}"),
                element("script", src=f"/console.js?{self.assets}", defer=True),
            ),
            element("body", *body),
            lang="en",
        )

    def _who(self, visitor: Visitor) -> Markup | None:
        if not visitor.csrf:
            return None
        principal = visitor.principal
        return posted_form(
            "/logout",
            visitor,
            element("span", foreign(f"{principal.subject}@{principal.tenant}")),
            element("button", "Log out", class_="quiet"),
            class_="logout",
        )


def posted_form(action: str, visitor: Visitor, *content: Child, class_: str = "") -> Markup:
    """A form that is posted with the session's token."""
    return element(
        "form",
        element("input", type="hidden", name=CSRF, value=visitor.csrf),
        *content,
        action=action,
        method="post",
        class_=class_ or None,
    )


def unseen(text: str) -> Markup:
    """Words for screen readers alone."""
    return element("span", text, class_="unseen")


def listing(*items: Child, class_: str) -> Markup:
    """A list that is one for every screen reader, although the style sheet shows no bullets."""
    return element("ul", *items, class_=class_, role="list")


def live(name: str, *content: Child) -> Markup:
    """A part of the page that the script replaces by what the same page says a little later."""
    return element("div", *content, id=name, data_live=True)


def section(title: str, *content: Child, aside: Child = None) -> Markup:
    head = element("div", element("h2", title), aside, class_="head")
    return element("section", head, *content)


def state(tone: str, text: str) -> Markup:
    """A word with a sign; the sign's shape and the word say what the colour says."""
    return element("span", element("i", aria_hidden="true"), text, class_=f"state {tone}")


def empty(*text: Child) -> Markup:
    return element("p", *text, class_="empty")


def heading(title: Child, *note: Child) -> Markup:
    said = element("p", *note, class_="lead") if note else None
    return element("div", element("h1", title), said, class_="title")


def _mark() -> Markup:
    """A gate that is lifted over a pipe."""
    return element(
        "svg",
        joined(
            element("path", d="M3 17h18M3 21h18", class_="pipe"),
            element("path", d="M7 13V3h10v10M12 3v10M7 8h10"),
        ),
        viewBox="0 0 24 24",
        class_="mark",
        aria_hidden="true",
    )
