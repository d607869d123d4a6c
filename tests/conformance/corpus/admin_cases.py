"""The administrators' face: queries, questions and forms of every kind."""

import json
from typing import Any

from tests.conformance.corpus.wire import ADMIN, TOKEN, Case, request


def _get(name: str, target: bytes, status: int = 400, says: str = "", *fields: bytes) -> Case:
    return Case(name, request(target, *fields, token=ADMIN), status, says)


def _asked(name: str, body: Any, says: str = "", status: int = 400) -> Case:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = request(b"/admin/routes/explain", method=b"POST", token=ADMIN, body=content)
    return Case(name, sent, status, says)


def _post(name: str, target: bytes, status: int, body: bytes = b"", *fields: bytes) -> Case:
    return Case(name, request(target, *fields, method=b"POST", token=ADMIN, body=body), status)


_NAME = b"%3Cscript%3E%20" + b"a" * 2000
ADMIN_FACE = (
    _get("usage since the day of rubbish", b"/admin/usage?since=rubbish", says="since"),
    _get("usage since day 0", b"/admin/usage?since=0000-00-00", says="since"),
    _get("usage since 9999 days", b"/admin/usage?since=9999d", 200),
    _get("usage since 99999 days", b"/admin/usage?since=99999d", says="since"),
    _get("usage until year 9999", b"/admin/usage?until=9999-12-31", 200),
    _get("usage until before since", b"/admin/usage?since=2026-02-02&until=2026-01-01"),
    _get("usage by rubbish", b"/admin/usage?by=%27%20OR%201=1--", says="by"),
    _get("usage by a day twice", b"/admin/usage?by=day,day", says="by"),
    _get("usage as rubbish", b"/admin/usage?format=xml", says="format"),
    _get("usage with a key twice", b"/admin/usage?by=day&by=x", says="by"),
    _get("an endpoint's drain read", b"/admin/endpoints/a/drain", 405),
    _post("a drain of nobody", b"/admin/endpoints/" + _NAME + b"/drain", 404),
    _post("a rollout of nobody", b"/admin/rollouts/" + _NAME + b"/pause", 404),
    _post("an action that is none", b"/admin/rollouts/a/" + _NAME, 404),
    _get("rollouts with a query", b"/admin/rollouts?a=%ff", 200),
    _asked("a question of nothing", b"", "JSON"),
    _asked("a question that is a list", [], "object"),
    _asked("a question about no model", {}, "model"),
    _asked("a model that is a number", {"model": 7}, "model"),
    _asked("a model of 10,000 letters", {"model": "a" * 10_000}, "model"),
    _asked("a field that is none", {"model": "a", "modle": "b"}, "modle"),
    _asked("headers that are a list", {"model": "a", "headers": []}, "headers"),
    _asked("a header that is a number", {"model": "a", "headers": {"a": 7}}, "headers"),
    _asked("claims that are a text", {"model": "a", "claims": "x"}, "claims"),
    _asked(
        "claims 60 deep", b'{"model":"a","claims":{"a":' + b"[" * 60 + b"]" * 60 + b"}}", "", 200
    ),
    _asked("claims 200 deep", b'{"model":"a","claims":{"a":' + b"[" * 200 + b"]" * 200 + b"}}"),
    _asked("half a surrogate pair", b'{"model": "\\ud800"}', "JSON"),
    _asked("NaN", b'{"model": NaN}', "JSON"),
    _asked(
        "odd letters", {"model": "a\0b\u202e", "subject": "\u0000", "tenant": "\ufffe"}, "", 200
    ),
    Case("a question by a user", request(b"/admin/endpoints", token=TOKEN), 403),
    Case("a question by nobody", request(b"/metrics", token=b""), 401),
    _get("a path that nobody knows", b"/admin/nothing", 404),
    _get("files of another folder", b"/static/..%2f..%2f..%2fetc%2fpasswd", 404),
    _get("a trace that is none", b"/requests/" + _NAME, 404),
)
