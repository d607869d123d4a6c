"""Low-rank adapters (LoRA, Hu et al. 2021) on one base model, many of them in the same batch.

An adapter is a folder as PEFT writes it. Its matrices are added to what the base's modules give,
only in the rows of those who asked for it, so that whoever else is in a batch makes no difference.
They are read when they are first needed, and those longest unused make room.
"""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson
import torch
from safetensors.torch import load
from transformers import PreTrainedModel

from backends.llm.parallel.sharding import INPUTS, OUTPUTS, Shard, Shards

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
MOST_CONFIG_BYTES = 1 << 20
MOST_BYTES = 1 << 33  # of the matrices
TAKEN = (torch.float32, torch.bfloat16, torch.float16)
# What changes the arithmetic, and isn't done here; each with the values that change nothing.
_UNSUPPORTED: Mapping[str, tuple[object, ...]] = {
    "use_dora": (False, None),
    "bias": ("none", None),
    "modules_to_save": (None, []),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "lora_bias": (False, None),
    "trainable_token_indices": (None, []),
    "layer_replication": (None, []),
}


@dataclass(frozen=True, slots=True)
class Delta:
    """What is added to one module's output: x down up, [tokens, in] to [tokens, out]."""

    down: torch.Tensor  # [in, rank]
    up: torch.Tensor  # [rank, out], scaled


@dataclass(frozen=True, slots=True)
class Adapter:
    """Deltas by the module's name in the base model; `size` in bytes, `digest` of its files.

    `number` is what other ranks know it by, where the model is divided.
    """

    deltas: dict[str, Delta]
    size: int
    digest: str
    number: int = 0


def read(folder: Path, model: PreTrainedModel, shards: Shards | None = None) -> Adapter:
    """An adapter that fits the model; raises ValueError with a sentence for any other.

    Of layers in `shards` the model has only that part, and so has the adapter.
    """
    # Bytes and no mapping: files may change, or become shorter, while they are read.
    config = _bytes(folder / CONFIG, MOST_CONFIG_BYTES)
    weights = _bytes(folder / WEIGHTS, MOST_BYTES)
    rank, scale = _rank_and_scale(config)
    try:
        tensors = load(weights)
    except Exception as error:  # safetensors has an exception of its own for each version
        raise ValueError(f"{WEIGHTS} can't be read") from error
    digest = hashlib.sha256(hashlib.sha256(config).digest() + weights).hexdigest()
    del weights
    modules = dict(model.named_modules())
    deltas: dict[str, Delta] = {}
    for key in sorted(tensors):
        name, found, kind = key.removeprefix(PREFIX).rpartition(".lora_")
        if not key.startswith(PREFIX) or not found or kind not in ("A.weight", "B.weight"):
            raise ValueError(f"{key}: only the matrices of linear layers are taken")
        other = f"{PREFIX}{name}.lora_{'B' if kind.startswith('A') else 'A'}.weight"
        if other not in tensors:
            raise ValueError(f"{key}: there is no {other}")
        if name in deltas:
            continue
        down = tensors[f"{PREFIX}{name}.lora_A.weight"]
        up = tensors[f"{PREFIX}{name}.lora_B.weight"]
        if down.ndim != 2 or up.ndim != 2 or not down.shape[0] == up.shape[1] == rank:
            raise ValueError(f"{name}: its matrices are not of rank {rank}")
        if down.dtype not in TAKEN or up.dtype not in TAKEN:
            raise ValueError(f"{name}: only matrices in fp32, fp16 and bf16 are taken")
        shard = (shards or {}).get(name)
        if name not in modules or (down.shape[1], up.shape[0]) != _sizes(modules[name], shard):
            raise ValueError(f"{name}: the base model has no such layer of this size")
        if shard is not None:
            down = shard.cut(down, 1) if shard.dimension == INPUTS else down
            up = shard.cut(up, 0) if shard.dimension == OUTPUTS else up
        delta = Delta(
            down.t().to(model.device, model.dtype).contiguous(),
            (up.t() * scale).to(model.device, model.dtype).contiguous(),
        )
        if not (delta.down.isfinite().all() and delta.up.isfinite().all()):
            raise ValueError(f"{name}: its matrices hold what is no finite number")
        deltas[name] = delta
    if not deltas:
        raise ValueError(f"{WEIGHTS} holds nothing")
    size = sum(each.nbytes for delta in deltas.values() for each in (delta.down, delta.up))
    return Adapter(deltas, size, digest)


def _bytes(file: Path, most: int) -> bytes:
    try:
        if file.stat().st_size > most:
            raise ValueError(f"{file.name} has more than {most} bytes")
        return file.read_bytes()
    except FileNotFoundError:
        raise ValueError(f"there is no {file.name}") from None
    except OSError:
        raise ValueError(f"{file.name} can't be read") from None


def _rank_and_scale(file: bytes) -> tuple[int, float]:
    try:
        config: Any = orjson.loads(file)
    except orjson.JSONDecodeError:
        raise ValueError(f"{CONFIG} can't be read") from None
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise ValueError(f"{CONFIG}: only the peft_type LORA is taken")
    for name, harmless in _UNSUPPORTED.items():
        if config.get(name) not in harmless:
            raise ValueError(f"{CONFIG}: {name} is not supported")
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if type(rank) is not int or rank < 1 or not isinstance(alpha, int | float):
        raise ValueError(f"{CONFIG}: r and lora_alpha must be numbers")
    return rank, float(alpha) / (rank**0.5 if config.get("use_rslora") else rank)


def _sizes(module: torch.nn.Module, shard: Shard | None) -> tuple[int, int] | None:
    """What a linear layer takes and gives, all of its parts together."""
    if hasattr(module, "in_features"):
        sizes = [int(module.out_features), int(module.in_features)]  # type: ignore[arg-type]
        if shard is not None:
            sizes[shard.dimension] = shard.whole
        return sizes[1], sizes[0]
    if hasattr(module, "nf"):  # transformers' Conv1D, as GPT-2 has it
        return int(module.nx), int(module.nf)  # type: ignore[arg-type]
    return None


class Source(Protocol):
    """Where adapters come from."""

    def fetch(self, id_: str, folder: Path) -> Adapter:
        """Raises ValueError with a sentence for one that can't be had."""
        ...

    def drop(self, adapter: Adapter) -> None:
        """It is in memory no more."""
        ...


class Files:
    """Adapters that one process reads for itself."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model

    def fetch(self, id_: str, folder: Path) -> Adapter:
        return read(folder, self._model)

    def drop(self, adapter: Adapter) -> None:
        """Nobody else has it."""


class Adapters:
    """The adapters of one base model; at most `budget` bytes of them beside those in use."""

    def __init__(self, model: PreTrainedModel, budget: int, source: Source | None = None) -> None:
        self._model = model
        self._budget = budget
        self._source = source or Files(model)
        self.read_seconds = 0.0  # that the last one took
        self._places: dict[str, tuple[Path, str]] = {}  # the folder, and its files' digest
        self._here: OrderedDict[str, Adapter] = OrderedDict()
        self._ready: dict[str, Adapter] = {}  # read, and not used since
        self._retired: set[str] = set()
        self._reading = threading.Lock()
        self._hooked: set[str] = set()
        self._active: list[tuple[Adapter, torch.Tensor]] = []

    @property
    def here(self) -> list[str]:
        """Those in memory, the longest unused first."""
        return list(self._here)

    def number(self, id_: str) -> int:
        """What other ranks know it by, which is in memory."""
        return self._here[id_].number

    def place(self, id_: str, folder: Path, digest: str = "") -> None:
        """From now on `id_` is the adapter in the folder; it must be one that can be read.

        With a `digest` it is that only as long as its files have it.
        """
        self._places[id_] = folder, digest
        self._retired.discard(id_)

    def retire(self, id_: str, *, changed: bool) -> None:
        """Nobody asks for it any more, and no memory is kept for it.

        Those that did are still answered, unless its files have `changed`: they would get others.
        """
        self._retired.add(id_)
        if changed:
            self._places.pop(id_, None)

    def prepare(self, id_: str) -> None:
        """Reads it if it isn't here, so that no step has to; in any thread.

        Raises ValueError with a sentence if it can't be had.
        """
        with self._reading:
            if id_ not in self._here and id_ not in self._ready:
                begun = time.perf_counter()
                folder, digest = self._places.get(id_, (None, ""))
                if folder is None:
                    raise ValueError("the adapter is there no more")
                found = self._source.fetch(id_, folder)
                if digest and found.digest != digest:
                    self._source.drop(found)
                    raise ValueError("the adapter's files have changed")
                self._ready[id_] = found
                self.read_seconds = time.perf_counter() - begun

    def use(self, rows: Sequence[tuple[str, int, int]]) -> None:
        """For the next run: the adapter ("" for none) of each stretch of rows, from and to."""
        stretches: dict[str, list[torch.Tensor]] = {}
        for id_, begin, end in rows:
            if id_:
                stretches.setdefault(id_, []).append(
                    torch.arange(begin, end, device=self._model.device)
                )
        self._active = [(self._get(id_), torch.cat(each)) for id_, each in stretches.items()]
        self._make_room(stretches)

    def _get(self, id_: str) -> Adapter:
        found = self._here.get(id_)
        if found is None:
            self.prepare(id_)
            found = self._here[id_] = self._ready[id_]
            del self._ready[id_]
            for name in found.deltas.keys() - self._hooked:
                self._hook(name)
        self._here.move_to_end(id_)
        return found

    def _make_room(self, needed: Mapping[str, object]) -> None:
        for id_ in self._retired - needed.keys():
            for kept in (self._here, self._ready):
                if id_ in kept:
                    self._drop(kept.pop(id_))
        held = sum(each.size for each in (*self._here.values(), *self._ready.copy().values()))
        for id_ in list(self._here):
            if held <= self._budget:
                return
            if id_ not in needed:
                held -= self._drop(self._here.pop(id_))
        while held > self._budget and self._ready:  # whoever asked for them may be gone
            id_ = next(iter(self._ready))
            held -= self._drop(self._ready.pop(id_))

    def _drop(self, adapter: Adapter) -> int:
        self._source.drop(adapter)
        return adapter.size

    def _hook(self, name: str) -> None:
        def add(
            module: torch.nn.Module, taken: tuple[torch.Tensor, ...], given: torch.Tensor
        ) -> torch.Tensor:
            for adapter, rows in self._active:
                delta = adapter.deltas.get(name)
                if delta is not None:
                    given[0, rows] += taken[0][0, rows] @ delta.down @ delta.up
            return given

        # Before others' hooks: parts of a layer's output are summed up with the adapters in them.
        self._model.get_submodule(name).register_forward_hook(add, prepend=True)
        self._hooked.add(name)
