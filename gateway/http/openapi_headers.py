"""Headers of the REST face's requests and replies as OpenAPI describes them."""

from typing import Any

from gateway.http.openapi_values import STRING, TEXT, Schema

LENGTH = "Inference-Header-Content-Length"
_DIGITS: Schema = {"type": "string", "pattern": "^[0-9]{1,18}$"}
# Paths with control characters are refused before anything looks at them.
_NAMED: Schema = {**TEXT, "pattern": r"^[^\x00-\x1f\x7f]*$"}

# What every reply on the inference paths has.
TRACED = {
    "x-request-id": {"$ref": "#/components/headers/RequestId"},
    "server-timing": {"$ref": "#/components/headers/ServerTiming"},
    "ratelimit-policy": {"$ref": "#/components/headers/RateLimitPolicy"},
    "ratelimit": {"$ref": "#/components/headers/RateLimit"},
    "x-cache": {"$ref": "#/components/headers/Cache"},
    "age": {"$ref": "#/components/headers/Age"},
}
# Header, component, and the errors that have it.
ON_ERRORS = (
    ("retry-after", "RetryAfter", (429, 503)),
    ("www-authenticate", "Authenticate", (401,)),
)


def headers() -> dict[str, Any]:
    def header(description: str, schema: Schema = STRING) -> Schema:
        return {"description": description, "schema": schema}

    return {
        "RequestId": header("The request's own, or one that was made for it."),
        "ServerTiming": header("Milliseconds of each stage (W3C Server Timing)."),
        "Cache": header(
            "Where the answer is from, on routes that keep answers.",
            {"enum": ["hit", "coalesced", "miss", "bypass"]},
        ),
        "Age": header("Seconds since a kept answer was made (RFC 9111).", _DIGITS),
        "JsonLength": header("Bytes of the JSON before the tensors.", _DIGITS),
        "RateLimitPolicy": header(
            "The limit that is nearest to its end, if any: its name, `q` in `w` seconds.",
            {"type": "string", "pattern": '^"[a-z-]+";q=[0-9]+;(w=[0-9]+|qu="[a-z-]+")$'},
        ),
        "RateLimit": header(
            "What remains of it (`r`), and the seconds until there is more (`t`).",
            {"type": "string", "pattern": '^"[a-z-]+";r=[0-9]+(;t=[0-9]+)?$'},
        ),
        "RetryAfter": header("Seconds after which another try makes sense.", _DIGITS),
        "Authenticate": header('Always `Bearer realm="penstock"`.'),
    }


def parameters() -> dict[str, Any]:
    def path(name: str) -> Schema:
        return {"name": name, "in": "path", "required": True, "schema": _NAMED}

    def header(name: str, description: str, schema: Schema = STRING) -> Schema:
        return {"name": name, "in": "header", "description": description, "schema": schema}

    encodings = {"enum": ["identity", "gzip", "x-gzip", "deflate"]}
    return {
        "Model": path("model"),
        "Version": path("version"),
        "JsonLength": header(LENGTH, "Bytes of the JSON before the tensors.", _DIGITS),
        "ContentEncoding": header("Content-Encoding", "How the body is compressed.", encodings),
        "CacheControl": header(
            "Cache-Control",
            "no-store, no-cache, max-age, min-fresh and only-if-cached (RFC 9111, 5.2.1).",
        ),
        "RequestId": header(
            "x-request-id", "Up to 128 letters, digits, - and _; others are replaced."
        ),
        "TraceParent": header("traceparent", "W3C Trace Context."),
    }
