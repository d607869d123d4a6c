"""OpenAI's own client against a real mesh: a gateway, a joined model server, and tensor models."""

import asyncio
import base64
import struct
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import openai
import pytest
from openai.types import Completion, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.integration import mesh_models as models
from tests.integration.mesh import Mesh, free_ports
from tests.openai_server import MODELS, TOOL, Server, serving

HELLO = [{"role": "user", "content": "hello dear world"}]

# Limits, deadlines and names of their own.
ROUTES = {
    "public.yaml": """
apiVersion: penstock/v1
kind: Route
metadata: {name: public}
spec:
  match: [{model: assistant}]
  backends: [{name: stable, model: echo, version: "1"}]
""",
    "limited.yaml": """
apiVersion: penstock/v1
kind: Route
metadata: {name: limited}
spec:
  match: [{model: limited}]
  backends: [{name: stable, model: echo, version: "1"}]
  limits: [{per: route, requests: 1/1h}]
""",
    "hurried.yaml": """
apiVersion: penstock/v1
kind: Route
metadata: {name: hurried}
spec:
  match: [{model: hurried}]
  backends: [{name: stable, model: silent, version: "1"}]
  timeouts: {total: 300ms}
""",
}


@dataclass(frozen=True)
class Site:
    mesh: Mesh
    server: Server
    url: str  # of the model server

    def client(self, *scopes: str, **more: object) -> openai.OpenAI:
        return openai.OpenAI(**self.settings(*scopes), **more)

    def settings(self, *scopes: str) -> dict:
        token = self.mesh.token(*(scopes or ("infer:*",)))
        return {"base_url": f"{self.mesh.url}/v1", "api_key": token, "max_retries": 0}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("openai")
    repository = folder / "models"
    models.write_encoder(repository)
    models.write_long(repository)
    server = Server()
    with serving(server) as url, Mesh(folder, routes=ROUTES) as mesh:
        mesh.join_openai("llm", url)
        mesh.start_backend("tensors", repository)
        ready = [(model, "1") for model in (*MODELS, "encoder", "long")]
        mesh.wait_ready(*ready)
        yield Site(mesh, server, url)


def same_shape(value) -> None:
    """Whether the package's own types have every field that came, and no wrong one."""
    assert type(value).model_validate(value.model_dump(), strict=True)


# --- chat -----------------------------------------------------------------------------------------


def test_a_chat_is_answered(site: Site) -> None:
    answer = site.client().chat.completions.create(model="echo", messages=HELLO, temperature=0.5)
    same_shape(answer)
    assert isinstance(answer, ChatCompletion)
    assert answer.choices[0].message.content == "hello dear world"
    assert answer.usage.completion_tokens == 3
    assert answer.model == "echo"
    assert answer._request_id  # of the header x-request-id


async def test_the_asynchronous_client_does_the_same(site: Site) -> None:
    async with openai.AsyncOpenAI(**site.settings()) as client:
        answers = await asyncio.gather(
            *[
                client.chat.completions.create(
                    model="echo", messages=[{"role": "user", "content": f"number {number}"}]
                )
                for number in range(20)
            ]
        )
        said = [answer.choices[0].message.content for answer in answers]
        assert said == [f"number {number}" for number in range(20)]
        stream = await client.chat.completions.create(model="echo", messages=HELLO, stream=True)
        words = [chunk.choices[0].delta.content or "" async for chunk in stream]
        assert "".join(words) == "hello dear world"


def test_a_streamed_chat_comes_in_chunks(site: Site) -> None:
    stream = site.client().chat.completions.create(model="echo", messages=HELLO, stream=True)
    chunks = list(stream)
    for chunk in chunks:
        same_shape(chunk)
        assert isinstance(chunk, ChatCompletionChunk)
        assert chunk.usage is None  # which nobody asked for
        assert chunk.model == "echo"
        assert len(chunk.choices) == 1
    assert [chunk.choices[0].delta.content for chunk in chunks] == [
        "", "hello ", "dear ", "world", None,
    ]  # fmt: skip
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_a_stream_tells_what_it_took_if_that_is_asked(site: Site) -> None:
    options = {"include_usage": True}
    stream = site.client().chat.completions.create(
        model="echo", messages=HELLO, stream=True, stream_options=options
    )
    *_, last = stream
    assert last.choices == []
    assert last.usage.total_tokens == 10


def test_the_packages_own_helper_puts_a_stream_together(site: Site) -> None:
    with site.client().chat.completions.stream(model="tools", messages=HELLO) as stream:
        found = stream.get_final_completion()
    (call,) = found.choices[0].message.tool_calls
    assert call.function.name == TOOL["function"]["name"]
    assert call.function.arguments == TOOL["function"]["arguments"]


def test_tools_pass_in_both_directions(site: Site) -> None:
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"x": 1}}}]
    messages = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [TOOL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    answer = site.client().chat.completions.create(model="tools", messages=messages, tools=tools)
    same_shape(answer)
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].message.tool_calls[0].function.name == "weather"
    asked = site.server.requests[-1]
    assert (asked["tools"], asked["messages"]) == (tools, messages)


def test_several_choices_and_unknown_fields_pass(site: Site) -> None:
    answer = site.client().chat.completions.create(
        model="echo", messages=HELLO, n=2, extra_body={"top_k": 5, "nested": {"a": [1, None]}}
    )
    assert [choice.index for choice in answer.choices] == [0, 1]
    asked = site.server.requests[-1]
    assert (asked["top_k"], asked["nested"]) == (5, {"a": [1, None]})


def test_a_route_gives_a_model_a_name_that_answers_bear(site: Site) -> None:
    client = site.client("infer:assistant")
    answer = client.chat.completions.create(model="assistant", messages=HELLO)
    assert answer.model == "assistant"
    assert site.server.requests[-1]["model"] == "echo"
    stream = client.chat.completions.create(model="assistant", messages=HELLO, stream=True)
    assert {chunk.model for chunk in stream} == {"assistant"}
    raw = client.chat.completions.with_raw_response.create(model="assistant", messages=HELLO)
    assert raw.headers["x-penstock-arm"] == "public/stable"


# --- completions, embeddings, models --------------------------------------------------------------


def test_a_prompt_is_completed(site: Site) -> None:
    client = site.client()
    answer = client.completions.create(model="echo", prompt="once upon a time", max_tokens=2)
    same_shape(answer)
    assert isinstance(answer, Completion)
    assert answer.choices[0].text == "once upon "
    assert answer.choices[0].finish_reason == "length"
    stream = client.completions.create(model="echo", prompt="once upon a", stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == "once upon a"


def test_texts_are_embedded_by_a_tensor_model_that_encodes_them(site: Site) -> None:
    create, texts = site.client().embeddings.create, ["abc", "é"]
    answer = create(model="encoder", input=texts)  # for which the package asks and reads base64
    assert isinstance(answer, CreateEmbeddingResponse)
    same_shape(answer)
    vectors = [each.embedding for each in answer.data]
    assert vectors == [[3.0, 97.0], [2.0, 195.0]]
    plain = create(model="encoder", input=texts, encoding_format="float")
    assert [each.embedding for each in plain.data] == vectors
    packed = create(model="encoder", input=texts, encoding_format="base64").data[1].embedding
    assert struct.unpack("<2f", base64.b64decode(packed)) == (2.0, 195.0)
    assert [each.index for each in answer.data] == [0, 1]
    assert answer.model == "encoder"


def test_texts_are_embedded_by_a_model_server(site: Site) -> None:
    answer = site.client().embeddings.create(model="embed", input="abc", encoding_format="float")
    same_shape(answer)
    assert answer.data[0].embedding == [3.0, 0.5]
    assert answer.usage.prompt_tokens == 1


def test_the_models_that_take_part_are_listed(site: Site) -> None:
    names = {model.id for model in site.client().models.list()}
    assert names == {*MODELS, "encoder", "assistant", "limited", "hurried"}
    found = site.client().models.retrieve("assistant")
    same_shape(found)
    assert time.time() - 3600 < found.created <= time.time()


def test_everybody_sees_their_own_models_alone(site: Site) -> None:
    client = site.client("infer:echo")
    assert [model.id for model in client.models.list()] == ["echo"]
    for hidden in ("tools", "long", "nothing"):
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve(hidden)


# --- errors ---------------------------------------------------------------------------------------


def failure(site: Site, model: str, *scopes: str, **more) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as caught:
        site.client(*scopes).chat.completions.create(model=model, messages=HELLO, **more)
    assert caught.value.response.headers["x-request-id"]
    return caught.value


def test_a_model_that_is_not_there_and_one_that_is_not_yours_look_the_same(site: Site) -> None:
    unknown, hidden = failure(site, "nothing"), failure(site, "tools", "infer:echo")
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
        error = failure(site, "refuses", stream=streaming)
        assert isinstance(error, openai.BadRequestError)
        assert (error.param, error.code) == ("messages", "context_length_exceeded")
        assert error.body["message"] == "It is too long."


def test_what_goes_wrong_in_the_model_server_stays_there(site: Site) -> None:
    error = failure(site, "breaks")
    assert isinstance(error, openai.InternalServerError)
    assert "/srv" not in str(error)


def test_a_full_model_server_says_when_to_come_again(site: Site) -> None:
    error = failure(site, "full")
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
    assert failure(site, "hurried").status_code == 504


def test_a_client_that_waits_no_longer_gives_up(site: Site) -> None:
    with pytest.raises(openai.APITimeoutError):
        site.client(timeout=0.3).chat.completions.create(model="silent", messages=HELLO)


def test_a_field_at_fault_is_named(site: Site) -> None:
    assert failure(site, "echo", n=0).param == "n"
    assert failure(site, "echo", extra_body={"stream": "yes"}).param == "stream"


def test_a_model_of_tensors_cannot_chat(site: Site) -> None:
    error = failure(site, "long")
    assert isinstance(error, openai.BadRequestError)
    assert "/infer" in error.message
    with pytest.raises(openai.BadRequestError):
        site.client().embeddings.create(model="long", input="text")
    with pytest.raises(openai.BadRequestError) as caught:
        site.client().embeddings.create(model="encoder", input=[1, 2, 3])
    assert caught.value.param == "input"


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


# --- leaving, and other ways in -------------------------------------------------------------------


def test_a_client_that_leaves_closes_the_model_servers_stream(site: Site) -> None:
    stream = site.client().chat.completions.create(model="slow", messages=HELLO, stream=True)
    next(iter(stream))
    assert site.server.open == 1
    stream.close()
    site.mesh.wait(lambda: site.server.open == 0, "the model server's stream to be closed")


def test_a_language_model_answers_on_the_open_inference_protocol_too(site: Site) -> None:
    with site.mesh.client("infer:*") as client:
        asked = {"text_input": "once upon a time", "max_tokens": 3}
        answer = client.post("/v2/models/echo/generate", json=asked).raise_for_status().json()
        assert answer["text_output"] == "once upon a "
        tensor = {"name": "text_input", "datatype": "BYTES", "shape": [1], "data": ["once"]}
        answer = client.post("/v2/models/echo/infer", json={"inputs": [tensor]})
        assert answer.raise_for_status().json()["outputs"][0]["data"] == ["once"]
        events = client.post("/v2/models/echo/generate_stream", json=asked).text
        assert [each for each in ("once ", "upon ", "a ") if f'"{each}"' in events] == [
            "once ", "upon ", "a ",
        ]  # fmt: skip


def test_what_a_model_server_is_for_can_be_asked(site: Site) -> None:
    with site.mesh.client("infer:*", "admin") as client:
        config = client.get("/v2/models/echo/config").raise_for_status().json()
        assert config["platform"] == "openai"
        assert client.get("/v2/models/echo/stats").status_code == 200
        assert client.post("/v2/repository/models/echo/load").status_code == 501
        assert client.post("/v2/repository/models/long/load").status_code == 200


def test_the_load_that_the_model_server_tells_is_seen(site: Site) -> None:
    def told() -> bool:
        row = site.mesh.instance("llm")
        load = row["load"] if row else {}
        found = [load.get(name) for name in ("waiting", "running", "cache_use", "adapters")]
        return found == [5, 3, 0.25, ["a", "b"]]

    site.mesh.wait(told, "the server's own figures")


def test_what_is_asked_here_is_counted_like_anything(site: Site) -> None:
    site.client().chat.completions.create(model="echo", messages=HELLO)
    wanted = ('face="openai"', 'model="echo"', 'code="200"')
    site.mesh.wait(
        lambda: any(
            all(each in line for each in wanted) for line in site.mesh.metrics().splitlines()
        ),
        "a count of chats",
    )


def test_a_model_that_the_server_lists_no_more_is_unavailable_until_it_is(site: Site) -> None:
    site.server.models.remove("undone")
    try:
        site.mesh.wait(lambda: _status(site, "undone") == 503, "the model to be gone")
    finally:
        site.server.models.append("undone")
    site.mesh.wait(lambda: _status(site, "undone") == 200, "the model to be back")


def _status(site: Site, model: str) -> int:
    try:
        site.client().chat.completions.create(model=model, messages=HELLO)
    except openai.APIStatusError as error:
        return error.status_code
    return 200


def test_requests_that_are_under_way_end_when_their_server_drains(site: Site, tmp_path) -> None:
    site.mesh.join_openai("leaving", site.url, "--model", "leaves=slow", "--drain-timeout", "30")
    site.mesh.wait_ready(("leaves", "1"))
    client = site.client()
    stream = client.chat.completions.create(model="leaves", messages=HELLO, stream=True)
    chunks = iter(stream)
    next(chunks)
    process = site.mesh.process("leaving")
    ending = threading.Thread(target=process.stop)
    ending.start()
    try:
        site.mesh.wait(lambda: _status(site, "leaves") in (404, 503), "no new calls to be taken")
        for _ in range(3):
            assert next(chunks).choices[0].delta.content
    finally:
        stream.close()
        ending.join()
    assert process.status == 0


def test_a_model_server_may_be_started_along_with_its_backend(site: Site) -> None:
    with httpx.Client() as client:
        (port,) = free_ports(1)
        command = f"{sys.executable} -m tests.openai_server {port}"
        url = f"http://127.0.0.1:{port}/v1"
        flags = ("--start", command, "--model", "started=echo")
        site.mesh.join_openai("starting", url, *flags)
        site.mesh.wait_ready(("started", "1"))
        answer = site.client().chat.completions.create(model="started", messages=HELLO)
        assert answer.choices[0].message.content == "hello dear world"
        site.mesh.process("starting").stop()
        site.mesh.wait(lambda: not _answers(client, url), "the server to end")


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        client.get(f"{url}/models")
    except httpx.TransportError:
        return False
    return True
