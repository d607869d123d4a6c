"""http.md: the paths of the REST face, from its OpenAPI document, and those of administrators."""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from gateway.http.openapi import document
from protos.errors import TABLE

INTRODUCTION = """# HTTP

Made from the code by `make reference`. The whole of it, with schemas, is the OpenAPI 3.1 document at `/openapi.json`. All but health takes `Authorization: Bearer TOKEN`, or `x-api-key`. Errors are `{"error": "a sentence"}`, under `/v1` an object as OpenAI has it; the sentence names the field at fault.

## Port 8000: clients
"""  # noqa: E501
# Of the admin face (8002), which has no document.
ADMIN = {
    "GET /metrics": "for Prometheus; the scope `metrics` suffices ([metrics](../metrics.md))",
    "GET /admin/endpoints": "who has joined, and whether the gateway has waited for all",
    "POST /admin/endpoints/{instance}/drain": "takes no new calls, finishes what it has",
    "POST /admin/endpoints/{instance}/evict": "its lease is over, and it has to join again",
    "GET /admin/requests/recent": "slow, failed and refused requests ([console](../console.md))",
    "GET /admin/rollouts": "states and evidence ([rollouts](../rollouts.md))",
    "POST /admin/rollouts/{route}/{action}": "`pause`, `resume` or `abort`",
    "GET /admin/routes": "the documents' hash, and which worker applies which",
    "POST /admin/routes/explain": "where a request goes and why ([routes](../routes.md))",
    "GET /admin/usage": "`since`, `until`, `by`, `format` ([limits](../limits.md#usage))",
    "POST /admin/console/links": "a link to the console, for one browser",
}  # fmt: skip


RETRY = {
    "never": "no",
    "elsewhere": "elsewhere, always",
    "if_idempotent": "elsewhere, if the model is idempotent",
}


def page() -> str:
    openapi = orjson.loads(document())
    components = openapi["components"]
    parts = [INTRODUCTION, *_table(_operations(openapi["paths"])), ""]
    parts += ["A path with `/versions/{version}` after the model asks for that version.", ""]
    parts += ["## Headers of requests", "", *_table(_asked(components["parameters"])), ""]
    parts += ["## Headers of replies", "", *_table(_told(openapi)), ""]
    parts += ["## Errors", "", *_errors(), ""]
    parts += ["## Port 8002: administrators", "", "All take a token with the scope `admin`.", ""]
    return "\n".join([*parts, *_table(ADMIN.items()), ""])


def _table(rows: Iterable[tuple[str, str]]) -> list[str]:
    return ["| | |", "|---|---|", *(f"| `{what}` | {said} |" for what, said in rows)]


def _operations(paths: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for path, operations in paths.items():
        for method, told in operations.items():
            if method != "parameters" and "/versions/" not in path:
                yield f"{method.upper()} {path}", told["summary"]


def _asked(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for told in found.values():
        if told["in"] == "header":
            yield told["name"], _sentence(told)


def _told(openapi: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """By the names that replies give them, which the components don't have."""
    operations = [each for path in openapi["paths"].values() for each in path.values()]
    replies = [
        reply
        for each in operations
        if isinstance(each, dict)
        for reply in each["responses"].values()
    ]
    names = {name: told["$ref"] for reply in replies for name, told in reply["headers"].items()}
    for name, reference in names.items():
        yield name, _sentence(openapi["components"]["headers"][reference.rpartition("/")[2]])


def _errors() -> list[str]:
    """The one table, which holds for both transports."""
    rows = [
        f"| {row.http} | {row.grpc.name} | {kind.name} | {row.fault} | {RETRY[row.retry]} |"
        for kind, row in TABLE.items()
    ]
    return ["| HTTP | gRPC | | whose fault | tried again by the gateway |", "|" + "---|" * 5, *rows]


def _sentence(told: dict[str, Any]) -> str:
    said = told.get("description") or told["schema"].get("description", "")
    return " ".join(said.split()).replace("|", "\\|")
