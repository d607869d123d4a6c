"""A rank's part of a model, read from safetensors without ever having the whole in memory."""

import contextlib
from pathlib import Path
from typing import Any

import orjson
import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedModel

from backends.llm.parallel.sharding import INPUTS, OUTPUTS, Shard, Shards, shards_of, shrink

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"


def outline(config: Any, dtype: torch.dtype, attention: str) -> PreTrainedModel:
    """The model without weights, on the meta device; raises ValueError for quantised ones."""
    if getattr(config, "quantization_config", None) is not None:
        raise ValueError("its weights are quantised, which can't be divided among ranks")
    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(
            config, dtype=dtype, attn_implementation=attention
        )  # type: ignore[no-untyped-call]
    return model


def read_part(
    folder: Path, model: PreTrainedModel, rank: int, ranks: int, device: torch.device
) -> Shards:
    """Fills the `outline` of the model in the folder with what the rank holds, and says what.

    Raises ValueError with a sentence for what can't be divided or is not there.
    """
    shards = shards_of(model, rank, ranks)
    shrink(model, shards)
    _compute_buffers(model, device)
    with Weights(folder) as weights:
        tied = _tied(model) - weights.names
        for place, module in model.named_modules():
            for name, room in list(module.named_parameters(recurse=False)):
                if (full := f"{place}.{name}") not in tied:
                    shard = shards.get(place)
                    if shard is not None and name == "bias" and shard.dimension == INPUTS:
                        shard = None
                    weight = torch.empty(room.shape, dtype=room.dtype, device=device)
                    weight.copy_(weights.read(full, shard, list(room.shape)))
                    setattr(module, name, torch.nn.Parameter(weight, requires_grad=False))
    _tie(model)
    with contextlib.suppress(OSError):  # not every folder has one
        model.generation_config = GenerationConfig.from_pretrained(folder, local_files_only=True)
    model.train(mode=False)
    return shards


class Weights:
    """The safetensors of a folder. Used as a context, or its files stay open."""

    def __init__(self, folder: Path) -> None:
        """Raises ValueError if they can't be read."""
        self._folder = folder
        self._open = contextlib.ExitStack()
        self._files: dict[str, Any] = {}
        self._where = self._index()
        self.names = self._where.keys()

    def __enter__(self) -> "Weights":
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def read(self, name: str, shard: Shard | None, shape: list[int]) -> torch.Tensor:
        """The rank's part, which must have the shape; raises ValueError for any other."""
        if name not in self._where:
            raise ValueError(f"there are no weights for {name}")
        whole = list(shape)
        if shard is not None:
            whole[shard.dimension] = shard.whole
        try:
            weights = self._file(self._where[name]).get_slice(name)
            if weights.get_shape() != whole:
                raise ValueError(f"{name} has the shape {weights.get_shape()} instead of {whole}")
            if shard is None:
                part: torch.Tensor = weights[:]
            elif shard.dimension == OUTPUTS:
                part = weights[shard.begin : shard.end]
            else:
                part = weights[:, shard.begin : shard.end]
        except SafetensorError as error:
            raise ValueError(f"{name} can't be read from {self._where[name]}") from error
        return part if shard is None else shard.fill(part, shard.dimension)

    def _index(self) -> dict[str, str]:
        """Which file holds which weight."""
        try:
            if not (self._folder / INDEX).is_file():
                return dict.fromkeys(self._file(WHOLE).keys(), WHOLE)
            found = orjson.loads((self._folder / INDEX).read_bytes())["weight_map"]
            if all(Path(each).name == each for each in found.values()):
                return dict(found)
        except (OSError, orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{INDEX} can't be read") from error
        raise ValueError(f"{INDEX} names a file that is not beside it")

    def _file(self, name: str) -> Any:
        if name not in self._files:
            try:
                file = safe_open(self._folder / name, framework="pt")
            except (OSError, SafetensorError) as error:
                raise ValueError(f"{name} can't be read") from error
            self._files[name] = self._open.enter_context(file)
        return self._files[name]


def _compute_buffers(model: PreTrainedModel, device: torch.device) -> None:
    """What no file has, such as the frequencies of positions: transformers computes it."""
    for module in list(model.modules()):
        buffers = dict(module.named_buffers(recurse=False))
        for name, buffer in buffers.items():
            if not buffer.is_floating_point():
                raise ValueError(f"{type(module).__name__} has buffers that can't be computed anew")
            module.register_buffer(name, torch.full_like(buffer, torch.nan, device=device), False)
        if buffers:
            model._init_weights(module)  # type: ignore[no-untyped-call]
        if any(buffer.isnan().any() for buffer in module.buffers(recurse=False)):
            raise ValueError(f"{type(module).__name__} has buffers that can't be computed anew")


def _tied(model: PreTrainedModel) -> set[str]:
    """The last layer's weights, where they may be the first one's."""
    if not model.config.get_text_config().tie_word_embeddings:
        return set()
    last = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    return {f"{name}.weight" for name, module in model.named_modules() if module is last}


def _tie(model: PreTrainedModel) -> None:
    """One weight instead of two that are the same; those that differ stay, as in transformers."""
    first: Any = model.get_input_embeddings()
    last: Any = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if model.config.get_text_config().tie_word_embeddings and (
        last.weight.is_meta or torch.equal(first.weight, last.weight)
    ):
        last.weight = first.weight
