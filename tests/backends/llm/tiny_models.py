"""Tiny language models of random weights in folders, and what transformers itself says of them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

from backends.llm.blocks import BlockPool
from backends.llm.choice import Said
from backends.llm.engine import Engine
from backends.llm.loading import Loaded, load
from backends.llm.models import Models
from protos.errors import PenstockError

TEXTS = [
    "The gate in front of the turbine lets in as much water as the turbine takes.",
    "Grüße aus Köln, 東京, and ☂ everywhere: naïve façades, smørrebrød and 🐟🐠🐡.",
    "one two three four five six seven eight nine ten eleven twelve thirteen",
]
SHAPE: dict[str, Any] = {"vocab_size": 400, "bos_token_id": 0, "eos_token_id": 1}
# What one of two computations may do better than the other where they round differently.
CLOSE = 1e-3

FAMILIES = ("llama", "qwen2", "qwen3", "mistral", "gpt2")


def write(folder: Path, family: str = "llama", *, seed: int = 0, **changes: Any) -> Path:
    """A model with two layers whose answers don't repeat themselves at once."""
    torch.manual_seed(seed)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512}
    shape = SHAPE | sizes | heads | changes
    config = {
        "llama": lambda: LlamaConfig(**shape),
        "qwen2": lambda: Qwen2Config(**shape),
        "qwen3": lambda: Qwen3Config(**shape, head_dim=8),
        "mistral": lambda: MistralConfig(**shape, sliding_window=16),
        "gpt2": lambda: GPT2Config(**SHAPE, n_embd=32, n_layer=2, n_head=4, n_positions=512),
    }[family]()
    config.initializer_range = 0.3
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder)
    tokeniser().save_pretrained(folder)
    return folder


def write_adapter(folder: Path, model: PreTrainedModel, *, seed: int, rank: int = 3) -> Path:
    """A LoRA as PEFT writes it, for the attention's and the last layers' modules."""
    rng = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, weight in adapted(model).items():
        out, in_ = weight.shape
        tensors[f"base_model.model.{name}.lora_A.weight"] = torch.randn(rank, in_, generator=rng)
        tensors[f"base_model.model.{name}.lora_B.weight"] = torch.randn(out, rank, generator=rng)
    folder.mkdir(parents=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 0.3, "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def adapted(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """The weights [out, in] that adapters change."""
    ends = ("q_proj", "v_proj", "down_proj", "c_attn", "c_fc")
    return {
        name: module.weight if hasattr(module, "in_features") else module.weight.t()
        for name, module in model.named_modules()
        if name.endswith(ends)
    }


def merged(folder: Path, adapter: Path) -> PreTrainedModel:
    """The reference with the adapter added to its weights."""
    model = reference(folder)
    tensors = load_file(adapter / "adapter_model.safetensors")
    config = json.loads((adapter / "adapter_config.json").read_text())
    with torch.no_grad():
        for name, weight in adapted(model).items():
            down, up = (tensors[f"base_model.model.{name}.lora_{x}.weight"] for x in "AB")
            weight += up @ down * (config["lora_alpha"] / config["r"])
    return model


def tokeniser() -> PreTrainedTokenizerFast:
    """Bytes and the commonest pairs of `TEXTS`."""
    bytes_ = Tokenizer(models.BPE())
    bytes_.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SHAPE["vocab_size"],
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bytes_.train_from_iterator(TEXTS, trainer)
    found = PreTrainedTokenizerFast(
        tokenizer_object=bytes_, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    found.chat_template = "{% for message in messages %}{{ message.content }}{% endfor %}"
    return found


def read(folder: Path, *, block: int = 4) -> Loaded:
    """The model with a cache of 4 MiB."""
    return load(folder, dtype="fp32", block=block, memory=1 << 22)


def serve(models: Models) -> Models:
    """Loads what has settled; two looks at the folder see that it has."""
    for _ in range(2):
        for name in models.look():
            models.take(name)
    models.look_for_adapters()
    return models


def engine(loaded: Loaded, *, blocks: int = 96, **settings: Any) -> Engine:
    """A new engine, with nothing in the blocks of its cache."""
    pool = BlockPool(blocks, loaded.pool.size)
    return Engine(loaded.runner, loaded.vocabulary, pool, longest=loaded.longest, **settings)


def reference(folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def greedy(model: PreTrainedModel, prompt: Sequence[int], most: int) -> list[int]:
    """What transformers' generate() answers."""
    answer = model.generate(
        torch.tensor([list(prompt)]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        max_new_tokens=most,
        do_sample=False,
        pad_token_id=1,
    )
    found: list[int] = answer[0, len(prompt) :].tolist()
    return found


def same(model: PreTrainedModel, prompt: Sequence[int], ours: list[int], theirs: list[int]) -> bool:
    """Whether two greedy answers are equal, or part where the model itself is undecided."""
    for at, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        if one != other:
            text = torch.tensor([[*prompt, *theirs[:at]]])
            best = model(text).logits[0, -1].topk(2).values
            return bool(best[0] - best[1] < CLOSE)
    return len(ours) == len(theirs)


def finish(engine: Engine, now: float = 0.0) -> dict[Any, list[Said | PenstockError]]:
    """Steps until everybody is answered; what each was told."""
    told: dict[Any, list[Said | PenstockError]] = {}
    while engine.busy:
        for id_, said in engine.step(now):
            told.setdefault(id_, []).append(said)
    return told
