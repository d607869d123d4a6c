"""A language model from a folder in Hugging Face's form: its configuration, weights, tokeniser.

Weights are safetensors and nothing else, code that lies beside them is never run, and nothing is
fetched from anywhere.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from backends.llm.adapters import Adapters
from backends.llm.blocks import BlockPool
from backends.llm.cache_form import CacheForm
from backends.llm.choice import Vocabulary
from backends.llm.cuda_graphs import DecodeGraphs, Device
from backends.llm.engine import Runner, RunnerLost
from backends.llm.int8 import quantise
from backends.llm.paged import NAME, KeyValues
from backends.llm.parallel.lead import Lead, divide
from backends.llm.parallel.sharding import Shards
from backends.llm.plan import Work
from backends.llm.runner import ModelRunner
from backends.llm.sampling import Sampling
from backends.llm.sequence import Sequence

LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
ON_CPU = 1 << 30  # bytes of a cache where nothing is said
SHARE = 0.85  # of the memory that a GPU has left beside the weights; the rest is for computing
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is ready to be run; `longest` is the most tokens that it was made for."""

    model: PreTrainedModel
    runner: Runner
    adapters: Adapters
    pool: BlockPool
    tokeniser: Any
    vocabulary: Vocabulary
    longest: int
    shards: Shards = field(default_factory=dict)  # of layers that this process has a part of
    lead: Lead | None = None

    @property
    def lost(self) -> str:
        """Why it can compute nothing any more; "" while it can."""
        return self.lead.lost if self.lead else ""

    def close(self) -> None:
        """Ends the processes that hold its other parts."""
        if self.lead:
            self.lead.close()


def load(
    folder: Path,
    *,
    dtype: str,
    block: int,
    memory: int | None,
    device: str = "cpu",
    int8: bool = False,
    adapter_memory: int = 1 << 28,
    ranks: int = 1,
) -> Loaded:
    """Reads the model, with a cache of at most `memory` bytes in blocks of `block` tokens.

    Without `memory` the cache takes most of what the GPU has left, or 1 GiB on the CPU.

    With `int8` its layers' weights are kept in eight bits. Adapters that nobody uses stay in memory
    up to `adapter_memory` bytes. All of that is divided among `ranks`, each a process of its own.

    Raises ValueError with a sentence for what can't be served.
    """
    if not any(folder.glob("*.safetensors")):
        raise ValueError("there are no weights in safetensors")
    with _translated():
        config = AutoConfig.from_pretrained(folder, **LOCAL)
        tokeniser = AutoTokenizer.from_pretrained(folder, **LOCAL)
    if not getattr(tokeniser, "is_fast", False):
        raise ValueError("its tokeniser has no tokenizer.json")
    form = CacheForm.of(config, block, DTYPES[dtype])
    where = torch.device(device)
    lead = None
    if ranks > 1:
        if where.type == "cuda" and not memory:
            raise ValueError("a model that is divided among GPUs takes a --memory-budget")
        blocks = form.blocks(memory or ON_CPU)
        lead = divide(folder, config, form, blocks, ranks, int8, adapter_memory, where)
        model, shards, adapters = lead.part.model, lead.part.shards, lead.adapters
        runner: Runner = lead
    else:
        model, shards = _read(folder, config, form.dtype), {}
        if where.type == "cpu":
            _copy(model)
        if int8:
            quantise(model)
        model.to(where)  # type: ignore[arg-type]
        blocks = form.blocks(memory or _room(where))
        adapters = Adapters(model, adapter_memory)
        cache = form.make(blocks, device=where)
        runner = ModelRunner(model, cache, adapters, _graphs(config, cache, blocks))
    loaded = Loaded(
        model,
        runner,
        adapters,
        BlockPool(blocks, block),
        tokeniser,
        _vocabulary(model, tokeniser),
        int(model.config.get_text_config().max_position_embeddings),
        shards,
        lead,
    )
    try:
        _try(runner)
    except ValueError:
        loaded.close()
        raise
    return loaded


def _graphs(config: Any, cache: KeyValues, blocks: int) -> DecodeGraphs | None:
    if cache.device.type != "cuda":
        return None
    from backends.llm.on_gpu import Tokens  # Triton comes with PyTorch for GPUs alone

    longest = int(config.get_text_config().max_position_embeddings)
    wide = min(blocks, -(-longest // cache.size))
    return DecodeGraphs(cache, wide, Tokens, Device(cache.device))


def _room(device: torch.device) -> int:
    if device.type != "cuda":
        return ON_CPU
    torch.cuda.empty_cache()  # what a model held that serves no more
    free, _ = torch.cuda.mem_get_info(device)
    return int(SHARE * free)


def _copy(model: PreTrainedModel) -> None:
    """Its weights are a mapping of the files, and would change with them while they serve."""
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = tensor.data.clone()


def _read(folder: Path, config: Any, dtype: torch.dtype) -> PreTrainedModel:
    with _translated():
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            attn_implementation=NAME,
            use_safetensors=True,
            **LOCAL,
        )
        model.train(mode=False)
    return model


@contextmanager
def _translated() -> Iterator[None]:
    """What transformers says of a folder, as a ValueError."""
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"transformers can't load it: {_first_line(error)}") from error


def _vocabulary(model: PreTrainedModel, tokeniser: Any) -> Vocabulary:
    ends: set[int] = set()
    for told in (
        getattr(model.generation_config, "eos_token_id", None),
        model.config.get_text_config().eos_token_id,
        tokeniser.eos_token_id,
    ):
        ends.update(told if isinstance(told, list) else [] if told is None else [told])
    plain = tokeniser.backend_tokenizer

    def decode(tokens: list[int]) -> str:
        text: str = plain.decode(tokens, skip_special_tokens=True)
        return text

    return Vocabulary(decode, frozenset(ends), model.config.get_text_config().vocab_size)


def _try(runner: Runner) -> None:
    """Runs it once, so that a model with an attention of another kind is refused at once."""
    sequence = Sequence(0, [0, 0], 3, Sampling(), blocks=[1])
    try:
        logits = runner.run([Work(sequence, 0, 2)])
    except (ValueError, TypeError, RuntimeError, AttributeError, RunnerLost) as error:
        raise ValueError(f"it can't be run: {_first_line(error)}") from error
    if not logits.isfinite().all():
        raise ValueError("it computes what is no number")


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:300] or type(error).__name__
