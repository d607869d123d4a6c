"""Every error below `/v1` is one that OpenAI's own client knows."""

import openai
import pytest

from tests.integration.openai_site import HELLO, Site


def test_a_model_that_is_not_there_and_one_that_is_not_yours_look_the_same(site: Site) -> None:
    unknown, hidden = site.failure("nothing"), site.failure("tools", "infer:echo")
    assert type(unknown) is type(hidden) is openai.NotFoundError
    assert unknown.code == hidden.code == "model_not_found"
    assert unknown.message.replace("nothing", "tools") == hidden.message


def test_a_wrong_key_is_refused(site: Site) -> None:
    settings = {**site.settings(), "api_key": "sk-wrong"}
    for ask in (
        lambda client: client.chat.completions.create(model="echo", messages=HELLO),
        lambda client: client.models.list(),
        lambda client: client.models.retrieve("echo"),
    ):
        with pytest.raises(openai.AuthenticationError) as caught:
            ask(openai.OpenAI(**settings))
        assert caught.value.code == "invalid_api_key"


def test_what_the_model_server_refuses_is_told_as_it_tells_it(site: Site) -> None:
    for streaming in (False, True):
        error = site.failure("refuses", stream=streaming)
        assert isinstance(error, openai.BadRequestError)
        assert (error.param, error.code) == ("messages", "context_length_exceeded")
        assert error.body["message"] == "It is too long."


def test_what_goes_wrong_in_the_model_server_stays_there(site: Site) -> None:
    error = site.failure("breaks")
    assert isinstance(error, openai.InternalServerError)
    assert "/srv" not in str(error)


def test_a_full_model_server_says_when_to_come_again(site: Site) -> None:
    error = site.failure("full")
    assert error.status_code == 503
    assert error.response.headers["retry-after"] == "7"
    assert error.type == "overloaded_error"


def test_a_limit_is_told_as_openai_tells_it(site: Site) -> None:
    errors = []
    for _ in range(3):
        try:
            site.client().chat.completions.create(model="limited", messages=HELLO)
        except openai.RateLimitError as error:
            errors.append(error)
    assert errors
    assert errors[0].code == "rate_limit_exceeded"
    assert int(errors[0].response.headers["retry-after"]) > 0


def test_a_deadline_that_passes_is_a_504(site: Site) -> None:
    assert site.failure("hurried").status_code == 504


def test_a_client_that_waits_no_longer_gives_up(site: Site) -> None:
    with pytest.raises(openai.APITimeoutError):
        site.client(timeout=0.3).chat.completions.create(model="silent", messages=HELLO)


def test_a_field_at_fault_is_named(site: Site) -> None:
    assert site.failure("echo", n=0).param == "n"
    assert site.failure("echo", extra_body={"stream": "yes"}).param == "stream"


@pytest.mark.parametrize("model", ["cuts", "errs"])
def test_a_stream_that_breaks_ends_with_an_error(site: Site, model) -> None:
    stream = site.client().chat.completions.create(model=model, messages=HELLO, stream=True)
    said = (chunk.choices[0].delta.content for chunk in stream)
    assert (next(said), next(said)) == ("", "hello ")
    with pytest.raises(openai.APIError) as caught:
        next(said)
    assert caught.value.type == "server_error"
    assert "/srv" not in str(caught.value)


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("POST", "/v1/chat/completions", b"{", 400),
        ("POST", "/v1/chat/completions", b"[]", 400),
        ("POST", "/v1/chat/completions", b'{"model": "echo", "model": "echo"}', 400),
        ("POST", "/v1/completions", b'{"model": "echo", "prompt": "\\ud800"}', 400),
        ("POST", "/v1/embeddings", b'{"model": "embed", "input": ' + b"[" * 100, 400),
        ("POST", "/v1/embeddings", b'{"model": "embed"}', 400),
        ("GET", "/v1/chat/completions", b"", 405),
        ("POST", "/v1/models", b"", 405),
        ("GET", "/v1/images", b"", 404),
        ("POST", "/v1/images", b"", 404),
        ("GET", "/v1/models/" + "m" * 300, b"", 400),
    ],
)
def test_every_error_below_v1_has_openais_shape(site, method, path, content, status) -> None:
    with site.mesh.client("infer:*") as client:
        answer = client.request(method, path, content=content)
    assert answer.status_code == status, answer.text
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"]


def test_the_bytes_of_a_stream_are_events_and_end_with_done(site: Site) -> None:
    body = {"model": "echo", "messages": HELLO, "stream": True}
    with site.mesh.client("infer:*") as client:
        answer = client.post("/v1/chat/completions", json=body)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.text.endswith("data: [DONE]\n\n")
    assert all(event.startswith("data: ") for event in answer.text.rstrip().split("\n\n"))
