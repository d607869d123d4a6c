"""What every answer of the console tells the browser about what it may do."""

from starlette.responses import HTMLResponse, Response

from gateway.reports.markup import Markup

# Scripts and styles come from files of ours and nothing stands inline, so that a name that got
# through as markup would still run nothing.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# A report is a page of its own that runs nothing and carries its style.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


def guarded(response: Response, policy: str = POLICY) -> Response:
    """The response with the headers that hold for all of the console."""
    response.headers.update(
        {
            "content-security-policy": policy,
            "x-frame-options": "DENY",
            "x-content-type-options": "nosniff",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            # Not `no-referrer`, with which browsers hide the origin of forms from us, too.
            "referrer-policy": "same-origin",
            "permissions-policy": "camera=(), geolocation=(), microphone=()",
        }
    )
    response.headers.setdefault("cache-control", "no-store")
    return response


def html(document: Markup, status: int = 200) -> Response:
    return guarded(HTMLResponse("<!doctype html>\n" + document, status))
