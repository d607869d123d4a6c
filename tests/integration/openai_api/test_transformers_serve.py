"""The real `transformers serve` with continuous batching, joined to a mesh by the backend.

It never says [DONE], says what a stream took with its last chunk, and lists a local model nowhere.
"""

import importlib.util
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from chaos.ports import free_ports
from tests.integration.openai_site import Site

MISSING = [
    name
    for name in ("torch", "transformers", "fastapi", "accelerate")
    if importlib.util.find_spec(name) is None
]
if MISSING:
    pytest.skip(f"transformers serve needs {', '.join(MISSING)}", allow_module_level=True)

MESSAGES = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def client(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    from tests import tiny_llama

    folder: Path = tmp_path_factory.mktemp("transformers")
    tiny_llama.write(folder / "model")
    (port,) = free_ports(1)
    # Without a bound on its blocks it takes ten gigabytes.
    options = "--cb-num-blocks 64 --cb-block-size 32 --cb-max-batch-tokens 256"
    serve = (
        f"env HF_HUB_OFFLINE=1 HF_HOME={folder}/hf OMP_NUM_THREADS=1"
        f" {shlex.quote(os.fspath(Path(sys.executable).with_name('transformers')))} serve"
        f" {folder}/model --continuous-batching {options} --device cpu --dtype float32"
        f" --host 127.0.0.1 --port {port}"
    )
    flags = ("--start", serve, "--model", f"tiny={folder}/model", "--unlisted")
    site.mesh.join_openai("transformers", f"http://127.0.0.1:{port}/v1", *flags)
    site.mesh.wait_ready(("tiny", "1"))
    yield site.client(timeout=60.0)
    site.mesh.process("transformers").stop()


def test_it_answers(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="tiny", messages=MESSAGES, max_tokens=5)
    assert answer.model == "tiny"
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 5
    assert answer.usage.prompt_tokens == 5


def test_its_streams_are_whole(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="tiny",
            messages=MESSAGES,
            max_tokens=8,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[-1].choices[0].finish_reason == "length"
    assert chunks[-1].usage.completion_tokens == 8
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    whole = client.chat.completions.create(model="tiny", messages=MESSAGES, max_tokens=8)
    assert text == whole.choices[0].message.content


def test_what_it_refuses_is_a_400(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            model="tiny", messages=MESSAGES, extra_body={"no_such_field": 1}
        )
    assert "no_such_field" in caught.value.message
