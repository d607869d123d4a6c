"""Which requests are shown, and that nothing is hidden in what backends call themselves."""

from typing import Any

from gateway.console.requests import request_page, requests_page

HIDDEN = "\u202e"  # turns the direction of what follows


def row(code: int = 503, **more: Any) -> dict[str, Any]:
    span = {
        "id": "1",
        "parent": "0",
        "name": "POST",
        "kind": "SERVER",
        "start_us": 0.0,
        "duration_us": 1e4,
        "error": "",
        "attributes": {},
        "events": [],
    }
    return {
        "request_id": "r",
        "trace_id": "t",
        "at": 1.0,
        "seconds": 0.01,
        "model": "m",
        "code": code,
        "error": "UNAVAILABLE" if code >= 400 else "",
        "refused_by": "",
        "tenant": "risk",
        "route": "fraud",
        "arm": "stable",
        "version": "1",
        "attempts": 1,
        "instances": ["a"],
        "cache": "",
        "queue_seconds": 0.0,
        "compute_seconds": 0.0,
        "batch_rows": 0,
        "spans": [span],
        **more,
    }


def page(count: int, **wanted: str) -> str:
    return "".join(requests_page([row() for _ in range(count)], wanted))


def test_so_many_are_shown_and_how_many_there_are_is_said():
    assert page(200).count('href="/requests/t"') == 25
    assert "25 of 200" in page(200)
    assert page(200, model="m").count('href="/requests/t"') == 100
    assert "100 of 200" in page(200, model="m")


def test_what_clients_sent_of_it_is_said():
    assert "only the names of requests and models" in page(1)


def test_an_answer_without_error_is_not_called_anything():
    assert "</i>200</span>" in "".join(requests_page([row(200)], {}))


def test_nothing_is_hidden_in_the_names_of_backends():
    text = "".join(request_page(row(instances=[f"a{HIDDEN}", "b" * 3000])))
    assert HIDDEN not in text
    assert "a⟨U+202E⟩, bbb" in text
    assert "characters)" in text
