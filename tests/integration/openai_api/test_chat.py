"""OpenAI's own client chats through a real mesh."""

import asyncio

import openai
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.integration.openai_site import HELLO, Site, same_shape
from tests.openai_server import TOOL


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
