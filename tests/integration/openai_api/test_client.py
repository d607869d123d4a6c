"""What OpenAI's own client does by itself: waits, repeats, gives up, tells errors apart."""

import asyncio

import openai
import pytest

from tests.integration.openai_site import HELLO, Site
from tests.openai_server import TOOL


def test_it_repeats_what_a_limit_refused_when_it_was_told_to(site: Site) -> None:
    client = site.client().with_options(max_retries=5)

    def repeated() -> int:
        answer = client.chat.completions.with_raw_response.create(model="brisk", messages=HELLO)
        return answer.retries_taken

    # The second of two within a second is refused, however slow the machine is in some of them.
    site.mesh.wait(lambda: repeated() > 0, "a request to be refused, and answered later")


def test_what_privacy_forbids_is_a_refusal_of_its_own(site: Site) -> None:
    with pytest.raises(openai.PermissionDeniedError) as caught:
        site.client().chat.completions.create(
            model="forbidding", messages=[{"role": "user", "content": "ask ada@example.org"}]
        )
    assert caught.value.type == "permission_error"
    assert "ada" not in str(caught.value)


def test_a_refusal_of_a_stream_is_raised_before_it_begins(site: Site) -> None:
    with pytest.raises(openai.NotFoundError):
        site.client().chat.completions.create(model="nothing", messages=HELLO, stream=True)


def test_who_gives_up_leaves_the_model_server(site: Site) -> None:
    with pytest.raises(openai.APITimeoutError):
        site.client(timeout=0.3).chat.completions.create(model="silent", messages=HELLO)
    site.mesh.wait(lambda: _idle(site), "the call to be ended in the backend")


async def test_a_cancelled_task_leaves_the_model_server(site: Site) -> None:
    async with openai.AsyncOpenAI(**site.settings()) as client:
        asked = asyncio.create_task(client.chat.completions.create(model="silent", messages=HELLO))
        await asyncio.to_thread(site.mesh.wait, lambda: not _idle(site), "the call to begin")
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
    await asyncio.to_thread(site.mesh.wait, lambda: _idle(site), "the call to be ended")


async def test_an_asynchronous_stream_that_is_left_ends_in_the_model_server(site: Site) -> None:
    async with openai.AsyncOpenAI(**site.settings()) as client:
        stream = await client.chat.completions.create(model="slow", messages=HELLO, stream=True)
        async with stream:
            async for chunk in stream:
                if chunk.choices[0].delta.content:
                    break
    await asyncio.to_thread(
        site.mesh.wait, lambda: site.server.open == 0, "the model server's stream to be closed"
    )


def test_signs_of_several_bytes_are_streamed_whole(site: Site) -> None:
    text = "Köln 東京 🙂 👩\u200d🚀 ☂"
    stream = site.client().chat.completions.create(
        model="echo", messages=[{"role": "user", "content": text}], stream=True
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == text


def test_what_a_tool_is_to_be_called_with_comes_as_the_model_server_told_it(site: Site) -> None:
    stream = site.client().chat.completions.create(model="tools", messages=HELLO, stream=True)
    deltas = [chunk.choices[0].delta for chunk in stream]
    (call,) = [each for delta in deltas for each in delta.tool_calls or ()]
    assert call.model_dump() == {**TOOL, "index": 0}


def test_sizes_of_embeddings_are_the_model_servers_to_judge(site: Site) -> None:
    create = site.client().embeddings.create
    answer = create(model="embed", input="abc", dimensions=2)  # the package asks for base64
    assert answer.data[0].embedding == [3.0, 0.5]
    assert site.server.requests[-1]["dimensions"] == 2


def test_a_model_of_tensors_embeds_in_its_own_size_alone(tensors: Site) -> None:
    create = tensors.client().embeddings.create
    assert len(create(model="encoder", input="abc", dimensions=2).data[0].embedding) == 2
    with pytest.raises(openai.BadRequestError) as caught:
        create(model="encoder", input="abc", dimensions=7)
    assert caught.value.param == "dimensions"


def _idle(site: Site) -> bool:
    row = site.mesh.instance("llm")
    return row is not None and row["load"]["in_flight"] == 0
