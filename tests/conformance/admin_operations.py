"""The administrative face as OpenAPI describes it, as far as fuzzing needs it: what can be asked.

Values are all kinds of text, as nothing of it is written for clients of other people.
"""

from typing import Any

TEXT = {"type": "string"}
OBJECT = {"type": "object"}
JSON, PAGE, FORM = "application/json", "text/html", "application/x-www-form-urlencoded"

# Method, path, what its query may have; `json` answers programs, `page` browsers.
PROGRAMS = (
    ("get", "/metrics", ()),
    ("get", "/admin/endpoints", ()),
    ("post", "/admin/endpoints/{instance}/drain", ()),
    ("post", "/admin/endpoints/{instance}/evict", ()),
    ("get", "/admin/routes", ()),
    ("post", "/admin/routes/explain", ()),
    ("get", "/admin/usage", ("since", "until", "by", "format")),
    ("get", "/admin/rollouts", ()),
    ("post", "/admin/rollouts/{route}/{action}", ()),
    ("get", "/admin/requests/recent", ("model", "tenant", "why", "route", "limit")),
    ("post", "/admin/console/links", ()),
)
# Not `/shadow/report`, for which a process is started each time.
PAGES = (
    ("get", "/", ()),
    ("get", "/requests", ("model", "tenant", "why", "route")),
    ("get", "/requests/{trace}", ()),
    ("get", "/rollouts", ()),
    ("get", "/rollouts/{route}/{action}", ()),
    ("post", "/rollouts/{route}/{action}", ()),
    ("get", "/routes", ()),
    ("post", "/routes", ()),
    ("get", "/usage", ("since", "until", "by")),
    ("get", "/shadow", ()),
    ("get", "/login", ("code",)),
    ("post", "/login", ()),
    ("post", "/logout", ()),
)
QUESTION = {
    "type": "object",
    "properties": {
        "model": TEXT,
        "tenant": TEXT,
        "headers": {"type": "object", "additionalProperties": TEXT},
        "claims": OBJECT,
        "subject": TEXT,
        "issuer": TEXT,
        "version": TEXT,
    },
}
CODE = {"type": "object", "properties": {"code": TEXT, "model": TEXT, "token": TEXT}}


def admin_document() -> dict[str, Any]:
    """OpenAPI 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path, query in PROGRAMS:
        made = _operation(path, query, {"200", "201", "202", "400", "404", "413", "415"}, JSON)
        if path == "/admin/routes/explain":
            made["requestBody"] = {"content": {JSON: {"schema": QUESTION}}}
        paths.setdefault(path, {})[method] = made
    for method, path, query in PAGES:
        made = _operation(path, query, {"200", "303", "400", "404", "413", "415"}, PAGE)
        if method == "post":
            made["requestBody"] = {"content": {FORM: {"schema": CODE}}}
        paths.setdefault(path, {})[method] = made
    return {
        "openapi": "3.1.0",
        "info": {"title": "The administrative face", "version": "1"},
        "security": [{"token": []}],
        "paths": paths,
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(path: str, query: tuple[str, ...], statuses: set[str], form: str) -> dict[str, Any]:
    refused = {"type": "object", "properties": {"error": TEXT}, "required": ["error"]}
    # Heads that the server itself refuses get the plain form, whatever asks.
    forms = {JSON: {"schema": refused}} | ({PAGE: {}} if form == PAGE else {})
    named = [piece[1:-1] for piece in path.split("/") if piece.startswith("{")]
    return {
        "parameters": [
            *({"name": n, "in": "path", "required": True, "schema": TEXT} for n in named),
            *({"name": n, "in": "query", "schema": TEXT} for n in query),
        ],
        "responses": {
            status: {"description": status, "content": forms}
            if status >= "4"
            else {"description": status}
            for status in (*sorted(statuses), "401", "403")
        },
    }
