"""Errors in OpenAI's shape, and what those of model servers mean."""

import orjson
import pytest

from protos.errors import Kind, PenstockError, invalid, unknown_model
from protos.openai.errors import broken_off, error_object, refusal


@pytest.mark.parametrize(
    ("error", "type_", "param", "code"),
    [
        (invalid("n: is wrong", param="n"), "invalid_request_error", "n", None),
        (unknown_model("m"), "invalid_request_error", "model", "model_not_found"),
        (PenstockError(Kind.NOT_FOUND, "no path"), "invalid_request_error", None, None),
        (PenstockError(Kind.UNAUTHENTICATED, "?"), "authentication_error", None, "invalid_api_key"),
        (PenstockError(Kind.RATE_LIMITED, "?"), "rate_limit_error", None, "rate_limit_exceeded"),
        (PenstockError(Kind.OVERLOADED, "?"), "overloaded_error", None, None),
        (PenstockError(Kind.INTERNAL, "?"), "server_error", None, None),
        (PenstockError(Kind.DEADLINE, "?"), "server_error", None, None),
    ],
)
def test_an_error_has_what_openais_clients_read(error, type_, param, code):
    told = error_object(error)["error"]
    assert told == {"message": error.message, "type": type_, "param": param, "code": code}


def upstream(status, body, **more):
    return refusal(status, orjson.dumps(body), "/v1/embeddings", **more)


def test_a_refused_input_is_told_as_the_model_server_tells_it():
    told = {"message": "too long", "type": "x", "param": "messages", "code": "context_length"}
    error = upstream(400, {"error": told})
    assert (error.kind, error.message) == (Kind.INVALID, "too long")
    assert (error.param, error.code) == ("messages", "context_length")


@pytest.mark.parametrize(
    "body",
    [
        {"error": "too long"},
        {"object": "error", "message": "too long", "code": 400, "param": None},
        {"error": {"message": "too long", "code": 400, "param": None}},
        {"detail": "too long"},
    ],
)
def test_servers_shapes_of_an_error_are_read(body):
    error = upstream(422, body)
    assert (error.kind, error.message, error.code) == (Kind.INVALID, "too long", "")


def test_a_server_that_says_nothing_readable_is_told_by_its_status():
    for body in (b"", b"<html>", b"[]", b'{"detail": [1]}'):
        error = refusal(400, body, "/v1/completions")
        assert (error.kind, error.message) == (Kind.INVALID, "the model's server answered 400")


def test_what_a_server_says_of_itself_stays_here():
    secret = {"error": {"message": "Traceback /srv/key"}}
    for status in (401, 403, 500, 502, 503):
        assert "Traceback" not in upstream(status, secret).message


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Kind.UNAVAILABLE),
        (404, Kind.UNAVAILABLE),
        (408, Kind.DEADLINE),
        (413, Kind.TOO_LARGE),
        (429, Kind.OVERLOADED),
        (500, Kind.MODEL_FAILED),
        (501, Kind.UNIMPLEMENTED),
        (503, Kind.OVERLOADED),
        (504, Kind.DEADLINE),
    ],
)
def test_a_status_has_a_kind(status, kind):
    assert upstream(status, {"error": {"message": "?"}}).kind is kind


def test_a_path_that_a_server_lacks_is_not_a_model_that_it_lacks():
    assert upstream(404, {"detail": "Not Found"}).kind is Kind.UNIMPLEMENTED
    assert refusal(404, b"", "/v1/embeddings").message == "the model's server has no /v1/embeddings"


def test_a_full_server_says_when_to_come_again():
    assert upstream(429, {}, retry_after=7.0).retry_after == 7.0
    assert upstream(503, {}).retry_after == 1.0


def test_a_stream_tells_errors_in_several_ways():
    assert broken_off({"choices": []}) is None
    assert broken_off({"error": None}) is None
    assert broken_off({"error": "CUDA out of memory"}).kind is Kind.MODEL_FAILED
    assert "CUDA" not in broken_off({"error": "CUDA out of memory"}).message
    assert broken_off({"error": {"message": "too long", "code": 400}}).kind is Kind.INVALID
    assert broken_off({"object": "error", "message": "x", "code": 503}).kind is Kind.OVERLOADED
