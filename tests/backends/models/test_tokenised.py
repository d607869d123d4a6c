"""A model of token ids with its tokeniser before it takes texts."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

from backends.models.config import ModelConfig, TokeniserConfig
from backends.models.lifecycle import Lifecycle
from backends.models.tokenised import STEP, Tokenised
from backends.runtimes import onnx as runtime
from protos.errors import Kind, PenstockError
from protos.openai.embeddings import encoder_of
from tests.backends.inline_device import InlineDevice
from tests.backends.made_artifacts import onnx_model

WORDS = ["[PAD]", "[UNK]", "red", "green", "blue"]


def write(folder: Path, *names: str, kind: int = TensorProto.INT64) -> Path:
    """A model that adds up the ids that its mask leaves, and how many those are."""
    names = names or ("input_ids", "attention_mask")
    ids, mask = names[0], names[-1]
    content = onnx_model(
        [
            helper.make_node("Mul", [ids, mask], ["left"]),
            helper.make_node("Add", ["left", "zero"], ["ids"]),
            helper.make_node("ReduceSum", ["ids", "axis"], ["sums"], keepdims=1),
            helper.make_node("ReduceSum", [mask, "axis"], ["counts"], keepdims=1),
            helper.make_node("Concat", ["sums", "counts"], ["whole"], axis=1),
            helper.make_node("Cast", ["whole"], ["embedding"], to=TensorProto.FLOAT),
        ],
        [(name, kind, ["rows", "length"]) for name in dict.fromkeys(names)],
        [("embedding", TensorProto.FLOAT, ["rows", 2])],
        [
            numpy_helper.from_array(np.array([1]), "axis"),
            helper.make_tensor("zero", kind, [], [0]),
        ],
    )
    (folder / "model.onnx").write_bytes(content)
    tokeniser = Tokenizer(
        models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    tokeniser.pre_tokenizer = pre_tokenizers.Whitespace()
    tokeniser.save(str(folder / "tokenizer.json"))
    return folder / "model.onnx"


def tokenised(folder: Path, artifact: Path, **settings) -> Tokenised:
    config = TokeniserConfig(**settings)
    return Tokenised(runtime.create(artifact, ModelConfig(), "cpu", 1), folder, config)


def embed(model: Tokenised, *texts: str | bytes) -> list[list[float]]:
    elements = [text if isinstance(text, bytes) else text.encode() for text in texts]
    staged = model.stage({"text": np.array(elements, object)})
    return model.execute(staged)["embedding"].tolist()


def refused(act) -> str:
    with pytest.raises(PenstockError) as caught:
        act()
    assert caught.value.kind is Kind.INVALID
    return caught.value.message


def test_texts_are_tokens_to_the_model_whatever_shares_their_batch(tmp_path):
    model = tokenised(tmp_path, write(tmp_path))
    signature = model.load()
    (spec,) = signature.inputs
    assert (spec.name, spec.datatype, spec.shape) == ("text", "BYTES", (-1,))
    assert embed(model, "red green") == [[5.0, 2.0]]
    assert embed(model, "blue " * 20, "red green", "") == [[80.0, 20.0], [5.0, 2.0], [0.0, 0.0]]
    model.unload()


def test_lengths_that_are_executed_are_few(tmp_path):
    model = tokenised(tmp_path, write(tmp_path))
    model.load()
    seen = []
    stage = model._runtime.stage
    model._runtime.stage = lambda inputs: seen.append(inputs["input_ids"].shape) or stage(inputs)
    for words in (1, STEP, STEP + 1):
        embed(model, "red " * words)
    assert seen == [(1, STEP), (1, STEP), (1, 2 * STEP)]


def test_a_text_that_is_too_long_is_refused_and_not_cut(tmp_path):
    model = tokenised(tmp_path, write(tmp_path), maxTokens=3)
    model.load()
    assert embed(model, "red red red") == [[6.0, 3.0]]
    assert "4 tokens" in refused(lambda: embed(model, "red", "red red red red"))


def test_a_text_that_is_no_utf_8_is_refused(tmp_path):
    model = tokenised(tmp_path, write(tmp_path))
    model.load()
    assert "UTF-8" in refused(lambda: embed(model, b"\xff"))


@pytest.mark.parametrize(
    ("names", "kind"),
    [(("pixels", "attention_mask"), TensorProto.INT64), (("input_ids",), TensorProto.FLOAT)],
)
def test_a_model_of_something_else_than_token_ids_is_refused(tmp_path, names, kind):
    model = tokenised(tmp_path, write(tmp_path, *names, kind=kind))
    with pytest.raises(ValueError, match=names[0]):
        model.load()


def test_a_tokeniser_that_cannot_be_read_is_refused(tmp_path):
    artifact = write(tmp_path)
    with pytest.raises(ValueError, match=r"no file other\.json"):
        tokenised(tmp_path, artifact, file="other.json")
    (tmp_path / "other.json").write_text(json.dumps({"secret": 1}))
    with pytest.raises(ValueError, match="is no tokeniser") as caught:
        tokenised(tmp_path, artifact, file="other.json")
    assert "secret" not in str(caught.value)
    with pytest.raises(ValueError, match="no token 99"):
        tokenised(tmp_path, artifact, pad=99)


@pytest.mark.parametrize("file", ["../tokenizer.json", "/etc/tokenizer.json", "tokenizer.bin"])
def test_a_tokeniser_lies_beside_its_model(file):
    with pytest.raises(ValueError, match="beside the model"):
        TokeniserConfig(file=file)


async def test_a_model_in_a_repository_is_given_its_tokeniser_by_model_yaml(tmp_path):
    folder = tmp_path / "encoder" / "1"
    folder.mkdir(parents=True)
    write(folder)
    (tmp_path / "encoder" / "model.yaml").write_text("tokenizer: {input: texts}\n")
    device = InlineDevice()
    lifecycle = Lifecycle(tmp_path, "onnx", device)
    watching = asyncio.create_task(lifecycle.run())
    try:
        async with asyncio.timeout(30):
            while not any(entry.ready for entry in lifecycle.index()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        signature = lifecycle.get("encoder", "").signature
        assert [spec.name for spec in signature.inputs] == ["texts"]
        assert signature.max_batch_size  # texts of any length share batches
        assert encoder_of(signature) is not None
        found = device.execute(("encoder", "1"), {"texts": np.array([b"red blue"], object)})
        assert found["embedding"].tolist() == [[6.0, 2.0]]
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await lifecycle.close()
        device.stop()
