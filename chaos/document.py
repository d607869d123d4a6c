"""The frame of a page that stands by itself: no script, nothing fetched."""

from importlib.resources import files

from gateway.reports.markup import Markup, element

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def document(title: str, headline: str, about: str, *content: Markup) -> str:
    """The page with what was found in a sentence, what it was found on, and the rest."""
    return "<!doctype html>\n" + element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="color-scheme", content="light dark"),
            element("title", title),
            element("style", _style("gateway.reports", "report.css")),
            element("style", _style("chaos", "report.css")),
        ),
        element(
            "body",
            element("header", element("p", "Penstock", class_="brand"), element("h1", title)),
            element("p", headline, class_="headline"),
            element("p", about, class_="dim"),
            *content,
        ),
        lang="en",
    )


def _style(package: str, name: str) -> Markup:
    return Markup(files(package).joinpath(name).read_text(encoding="utf-8"))
