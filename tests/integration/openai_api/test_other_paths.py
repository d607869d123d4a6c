"""Completions, embeddings and models by OpenAI's own client."""

import base64
import struct
import time

import openai
import pytest
from openai.types import Completion, CreateEmbeddingResponse

from tests.integration.openai_site import Site, same_shape
from tests.openai_server import MODELS


def test_a_prompt_is_completed(site: Site) -> None:
    client = site.client()
    answer = client.completions.create(model="echo", prompt="once upon a time", max_tokens=2)
    same_shape(answer)
    assert isinstance(answer, Completion)
    assert answer.choices[0].text == "once upon "
    assert answer.choices[0].finish_reason == "length"
    stream = client.completions.create(model="echo", prompt="once upon a", stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == "once upon a"


def test_texts_are_embedded_by_a_tensor_model_that_encodes_them(tensors: Site) -> None:
    create, texts = tensors.client().embeddings.create, ["abc", "é"]
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


def test_the_models_that_take_part_are_listed(tensors: Site) -> None:
    names = {model.id for model in tensors.client().models.list()}
    assert names >= {*MODELS, "encoder", "assistant", "limited", "hurried", "guarded"}
    assert "long" not in names
    found = tensors.client().models.retrieve("assistant")
    same_shape(found)
    assert time.time() - 3600 < found.created <= time.time()


def test_everybody_sees_their_own_models_alone(tensors: Site) -> None:
    client = tensors.client("infer:echo")
    assert [model.id for model in client.models.list()] == ["echo"]
    for hidden in ("tools", "long", "nothing"):
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve(hidden)


def test_a_model_of_tensors_cannot_chat(tensors: Site) -> None:
    error = tensors.failure("long")
    assert isinstance(error, openai.BadRequestError)
    assert "/infer" in error.message
    with pytest.raises(openai.BadRequestError):
        tensors.client().embeddings.create(model="long", input="text")
    with pytest.raises(openai.BadRequestError) as caught:
        tensors.client().embeddings.create(model="encoder", input=[1, 2, 3])
    assert caught.value.param == "input"


def test_models_of_tensors_are_loaded_and_unloaded_beside_a_joined_server(tensors: Site) -> None:
    with tensors.mesh.client("infer:*", "admin") as client:
        assert client.post("/v2/repository/models/long/load").status_code == 200
