"""A language model from a folder in Hugging Face's form: its configuration, weights, tokeniser.

Weights are safetensors and nothing else, code that lies beside them is never run, and nothing is
fetched from anywhere.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from backends.llm.adapters import Adapters
from backends.llm.blocks import BlockPool
from backends.llm.choice import Vocabulary
from backends.llm.int8 import quantise
from backends.llm.paged import NAME, KeyValues
from backends.llm.runner import ModelRunner
from backends.llm.sampling import Sampling
from backends.llm.scheduler import Work
from backends.llm.sequence import Sequence

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is ready to be run; `longest` is the most tokens that it was made for."""

    model: PreTrainedModel
    runner: ModelRunner
    adapters: Adapters
    pool: BlockPool
    tokeniser: Any
    vocabulary: Vocabulary
    longest: int


def load(
    folder: Path,
    *,
    dtype: str,
    block: int,
    memory: int,
    int8: bool = False,
    adapter_memory: int = 1 << 28,
) -> Loaded:
    """Reads the model, with a cache of at most `memory` bytes in blocks of `block` tokens.

    With `int8` its layers' weights are kept in eight bits. Adapters that nobody uses stay in memory
    up to `adapter_memory` bytes.

    Raises ValueError with a sentence for what can't be served.
    """
    if not any(folder.glob("*.safetensors")):
        raise ValueError("there are no weights in safetensors")
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(folder, **local)
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=DTYPES[dtype],
            attn_implementation=NAME,
            use_safetensors=True,
            **local,
        )
        model.train(mode=False)
        tokeniser = AutoTokenizer.from_pretrained(folder, **local)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"transformers can't load it: {_first_line(error)}") from error
    if not getattr(tokeniser, "is_fast", False):
        raise ValueError("its tokeniser has no tokenizer.json")
    if int8:
        quantise(model)
    cache = _cache(model, block, memory)
    adapters = Adapters(model, adapter_memory)
    runner = ModelRunner(model, cache, adapters)
    _try(runner)
    return Loaded(
        model,
        runner,
        adapters,
        BlockPool(cache.keys.shape[1] - 1, block),
        tokeniser,
        _vocabulary(model, tokeniser),
        int(model.config.get_text_config().max_position_embeddings),
    )


def _cache(model: PreTrainedModel, block: int, memory: int) -> KeyValues:
    config = model.config.get_text_config()
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    shared = getattr(config, "num_key_value_heads", None) or heads
    one = 2 * layers * block * shared * width * model.dtype.itemsize
    blocks = memory // one - 1
    if blocks < 1:
        raise ValueError(f"its cache takes {one} bytes a block, and has {memory} in all")
    return KeyValues(layers, blocks, block, shared, width, model.dtype)


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


def _try(runner: ModelRunner) -> None:
    """Runs it once, so that a model with an attention of another kind is refused at once."""
    sequence = Sequence(0, [0, 0], 3, Sampling(), blocks=[1])
    try:
        logits = runner.run([Work(sequence, 0, 2)])
    except (ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise ValueError(f"it can't be run: {_first_line(error)}") from error
    if not logits.isfinite().all():
        raise ValueError("it computes what is no number")


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:300] or type(error).__name__
