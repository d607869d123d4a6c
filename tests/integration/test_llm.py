"""A language model of a local folder behind the gate, asked by OpenAI's own client."""

import asyncio
import json
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from safetensors.numpy import save_file

from chaos.mesh import Mesh
from tests import tiny_llama

MESSAGES = [{"role": "user", "content": "one two three four"}]
EITHER = """
apiVersion: penstock/v1
kind: Route
metadata: {name: either}
spec:
  match: [{model: either}]
  backends: [{name: pair, model: pair, fallback: tiny}, {name: tiny, model: tiny, weight: 0}]
"""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder: Path = tmp_path_factory.mktemp("llm")
    tiny_llama.write(folder / "models" / "tiny")
    (folder / "models" / "broken").mkdir()
    (folder / "models" / "broken" / "config.json").write_text("{}")
    with Mesh(folder, routes={"either.yaml": EITHER}) as mesh:
        # 128 tokens: a prompt may have more than the cache has.
        flags = ("--memory-budget", "80KiB", "--block-size", "8")
        mesh.start_backend("llm", folder / "models", *flags, runtime="llm")
        # Meanwhile, for the last tests: the same model as "pair", divided among two processes.
        tiny_llama.write(folder / "divided" / "pair")
        mesh.start_backend("pair", folder / "divided", "--tp", "2", runtime="llm").may_end = True
        mesh.wait_ready(("tiny", "1"))
        yield mesh


@pytest.fixture(scope="module")
def client(mesh: Mesh) -> openai.OpenAI:
    key = mesh.token("infer:*")
    return openai.OpenAI(base_url=f"{mesh.url}/v1", api_key=key, max_retries=0, timeout=60.0)


def answer(client: openai.OpenAI, **settings: object) -> str:
    wishes = {"model": "tiny", "messages": MESSAGES, "max_tokens": 8, "temperature": 0}
    found = client.chat.completions.create(**{**wishes, **settings})  # type: ignore[call-overload]
    return found.choices[0].message.content or ""


def test_it_answers(client: openai.OpenAI) -> None:
    found = client.chat.completions.create(
        model="tiny", messages=MESSAGES, max_tokens=8, temperature=0
    )
    assert found.model == "tiny"
    assert found.choices[0].message.content
    assert found.choices[0].finish_reason == "length"
    assert found.usage.prompt_tokens == 18
    assert found.usage.completion_tokens == 8


def test_a_stream_says_the_same_and_what_it_took(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="tiny",
            messages=MESSAGES,
            max_tokens=8,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(each.choices[0].delta.content or "" for each in chunks if each.choices)
    assert text == answer(client)
    assert [each.choices[0].finish_reason for each in chunks if each.choices][-1] == "length"
    assert chunks[-1].usage.completion_tokens == 8
    assert chunks[-1].usage.prompt_tokens_details.cached_tokens == 16


def test_many_at_once_are_each_answered_as_alone(client: openai.OpenAI) -> None:
    prompts = [[{"role": "user", "content": f"{n} and {n}"}] for n in range(12)]
    alone = [answer(client, messages=prompt) for prompt in prompts]
    with ThreadPoolExecutor(12) as pool:
        together = list(pool.map(lambda prompt: answer(client, messages=prompt), prompts))
    assert together == alone


def test_several_prompts_and_choices_of_a_completion(client: openai.OpenAI) -> None:
    found = client.completions.create(
        model="tiny", prompt=["one", "two"], n=2, seed=1, max_tokens=4, logprobs=1
    )
    assert [each.index for each in found.choices] == [0, 1, 2, 3]
    assert all(len(each.logprobs.tokens) == 4 for each in found.choices)
    assert len({each.text for each in found.choices}) > 1


def test_a_seed_repeats_an_answer(client: openai.OpenAI) -> None:
    wishes = {"temperature": 1.0, "seed": 3}
    assert answer(client, **wishes) == answer(client, **wishes)


def test_a_stop_string_ends_an_answer(client: openai.OpenAI) -> None:
    whole = answer(client)
    assert answer(client, stop=whole[2:4]) == whole[:2]


def test_log_probabilities_are_told(client: openai.OpenAI) -> None:
    found = client.chat.completions.create(
        model="tiny", messages=MESSAGES, max_tokens=3, logprobs=True, top_logprobs=2
    )
    content = found.choices[0].logprobs.content
    assert len(content) == 3
    assert all(len(each.top_logprobs) == 2 for each in content)


def test_more_than_there_is_room_for_is_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        answer(client, messages=[{"role": "user", "content": "x" * 400}])
    assert caught.value.code == "context_length_exceeded"
    assert answer(client)


def test_what_cant_be_done_is_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        answer(client, response_format={"type": "json_object"})
    assert caught.value.param == "response_format"


def idle(mesh: Mesh) -> bool:
    row = mesh.instance("llm")
    load = row["load"] if row else {"in_flight": 1}
    return load["in_flight"] == 0 and load["running"] == 0 and load["cache_use"] == 0.0


# Some seconds of work: many choices, in a cache that holds one of them at a time.
LONG: dict[str, Any] = {
    "model": "tiny",
    "messages": MESSAGES,
    "max_tokens": 90,
    "n": 64,
    "extra_body": {"ignore_eos": True},
}


def test_who_leaves_a_stream_leaves_the_engine(client: openai.OpenAI, mesh: Mesh) -> None:
    stream = client.chat.completions.create(**LONG, stream=True)
    next(iter(stream))
    stream.close()
    mesh.wait(lambda: idle(mesh), "the engine to be idle, its blocks free")


def test_who_waits_no_longer_leaves_the_engine(client: openai.OpenAI, mesh: Mesh) -> None:
    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(**LONG, timeout=0.2)
    mesh.wait(lambda: idle(mesh), "the engine to be idle, its blocks free")
    assert answer(client)


async def test_a_task_that_is_cancelled_leaves_the_engine(
    client: openai.OpenAI, mesh: Mesh
) -> None:
    async with openai.AsyncOpenAI(
        base_url=client.base_url, api_key=client.api_key, max_retries=0
    ) as other:
        asked = asyncio.create_task(other.chat.completions.create(**LONG))
        await asyncio.to_thread(mesh.wait, lambda: not idle(mesh), "the engine to be at work")
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
    await asyncio.to_thread(mesh.wait, lambda: idle(mesh), "the engine to be idle")


def test_choices_of_a_stream_come_under_their_numbers(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="tiny", messages=MESSAGES, max_tokens=6, n=3, seed=5, stream=True
    )
    said = {0: "", 1: "", 2: ""}
    for chunk in stream:
        for choice in chunk.choices:
            said[choice.index] += choice.delta.content or ""
    whole = client.chat.completions.create(
        model="tiny", messages=MESSAGES, max_tokens=6, n=3, seed=5
    )
    assert said == {choice.index: choice.message.content for choice in whole.choices}


def test_what_one_asks_for_in_vain_harms_no_neighbour(client: openai.OpenAI) -> None:
    alone = answer(client)
    too_long = [{"role": "user", "content": "x" * 400}]
    with ThreadPoolExecutor(8) as pool:
        wrong = [pool.submit(answer, client, messages=too_long) for _ in range(4)]
        right = [pool.submit(answer, client) for _ in range(4)]
    assert [each.result() for each in right] == [alone] * 4
    for each in wrong:
        with pytest.raises(openai.BadRequestError) as caught:
            each.result()
        assert caught.value.code == "context_length_exceeded"


def test_signs_of_several_bytes_pass_in_both_directions(client: openai.OpenAI) -> None:
    text = "Köln 東京 🙂👩‍🚀"
    found = client.chat.completions.create(
        model="tiny", messages=[{"role": "user", "content": text}], max_tokens=4
    )
    assert found.usage.prompt_tokens == len(text.encode())
    stream = client.chat.completions.create(
        model="tiny",
        messages=[{"role": "user", "content": text}],
        max_tokens=24,
        seed=2,
        stream=True,
    )
    whole = client.chat.completions.create(
        model="tiny", messages=[{"role": "user", "content": text}], max_tokens=24, seed=2
    )
    parts = [chunk.choices[0].delta.content or "" for chunk in stream]
    assert "".join(parts) == whole.choices[0].message.content


def test_it_is_a_model_of_texts_too(mesh: Mesh) -> None:
    text = {"name": "text_input", "datatype": "BYTES", "shape": [1], "data": ["one two"]}
    body = {"inputs": [text], "parameters": {"max_tokens": 4, "temperature": 0}}
    with mesh.client("infer:*") as client:
        found = client.post("/v2/models/tiny/infer", json=body)
    assert found.status_code == 200, found.text
    assert found.json()["outputs"][0]["name"] == "text_output"


def test_a_folder_that_cant_be_served_says_why(mesh: Mesh) -> None:
    row = mesh.instance("llm")
    assert row is not None
    (broken,) = [each for each in row["models"] if each["name"] == "broken"]
    assert broken["state"] == "UNAVAILABLE"


def test_adapters_come_and_go_while_the_model_serves(client: openai.OpenAI, mesh: Mesh) -> None:
    place = mesh.folder / "models" / "tiny" / "adapters" / "loud"
    write_adapter(mesh.folder / "loud")
    place.parent.mkdir()
    (mesh.folder / "loud").rename(place)
    mesh.wait_ready(("tiny:loud", "1"))
    assert "tiny:loud" in [each.id for each in client.models.list()]
    assert answer(client, model="tiny:loud") != answer(client)

    def in_memory() -> bool:
        row = mesh.instance("llm")
        return row is not None and row["load"]["adapters"] == ["tiny:loud"]

    mesh.wait(in_memory, "the adapter to be told of")
    with mesh.client("admin", "infer:*") as operator:
        path = "/v2/repository/models/tiny:loud"
        assert operator.post(f"{path}/unload").status_code == 200
        with pytest.raises(openai.APIStatusError):
            answer(client, model="tiny:loud")
        assert operator.post(f"{path}/load").status_code == 200
        assert answer(client, model="tiny:loud") != answer(client)
        assert operator.post("/v2/repository/models/tiny:quiet/load").status_code == 404
        assert operator.post("/v2/repository/models/tiny/load").status_code == 200
    place.rename(mesh.folder / "gone")

    def gone() -> bool:
        return "tiny:loud" not in [each.id for each in client.models.list()]

    mesh.wait(gone, "the adapter to go")
    with pytest.raises(openai.NotFoundError):
        answer(client, model="tiny:loud")


def test_a_model_divided_among_processes_says_the_same(client: openai.OpenAI, mesh: Mesh) -> None:
    mesh.wait_ready(("pair", "1"))
    prompts = [[{"role": "user", "content": f"{n} and {n}"}] for n in range(6)]
    whole = [answer(client, messages=prompt, max_tokens=24) for prompt in prompts]
    with ThreadPoolExecutor(6) as pool:
        ask = partial(answer, client, model="pair", max_tokens=24)
        divided = list(pool.map(lambda prompt: ask(messages=prompt), prompts))
    assert divided == whole


def test_each_of_them_holds_little_more_than_its_part(mesh: Mesh) -> None:
    mesh.wait_ready(("pair", "1"))
    told = re.findall(r"rank (\d) holds (\d+) of (\d+) bytes", mesh.process("pair").log.read_text())
    assert [rank for rank, _, _ in told] == ["0", "1"]
    assert all(int(held) <= 0.55 * int(all_of_it) for _, held, all_of_it in told)


def test_one_that_is_killed_takes_no_request_with_it(client: openai.OpenAI, mesh: Mesh) -> None:
    """The whole instance ends, to be started anew, and what it was asked goes elsewhere."""
    mesh.wait_ready(("pair", "1"))
    expected = answer(client, max_tokens=100, extra_body={"ignore_eos": True})
    pair = mesh.process("pair")
    (rank,) = children(pair.pid)
    with ThreadPoolExecutor(4) as pool:
        ask = partial(
            answer, client, model="either", max_tokens=100, extra_body={"ignore_eos": True}
        )
        asked = [pool.submit(ask) for _ in range(4)]

        def busy() -> bool:
            row = mesh.instance("pair")
            return row is not None and row["load"]["in_flight"] > 0

        mesh.wait(lambda: busy() or all(each.done() for each in asked), "requests to be under way")
        os.kill(rank, signal.SIGKILL)
        assert {each.result() for each in asked} == {expected}
    mesh.wait(lambda: pair.status is not None, "the instance to end")
    assert "a part of a model is gone" in pair.last_words()
    assert ask() == expected


def children(pid: int) -> list[int]:
    """The processes that it has started."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [int(each) for thread in threads for each in (thread / "children").read_text().split()]


def write_adapter(folder: Path) -> None:
    """Adds so much to one layer that everything sounds different."""
    name = "base_model.model.model.layers.1.mlp.down_proj"
    rng = np.random.default_rng(0)
    folder.mkdir()
    save_file(
        {
            f"{name}.lora_A.weight": rng.normal(size=(2, tiny_llama.INNER)).astype(np.float32),
            f"{name}.lora_B.weight": rng.normal(size=(tiny_llama.WIDTH, 2)).astype(np.float32),
        },
        folder / "adapter_model.safetensors",
    )
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 64}
    (folder / "adapter_config.json").write_text(json.dumps(config))
