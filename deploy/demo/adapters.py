"""Adapters of the demo's language model: other ways of putting the same answers.

LoRA (Hu et al. 2021): beside each linear layer, which stays as it is, x down up is added. Written
as PEFT writes it, a folder for each.
"""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from assistant import SEED, lesson, teach
from chats import Voice, brief, chats, pirate
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import nn
from transformers import LlamaForCausalLM

VOICES = {"pirate": pirate, "brief": brief}
RANK, ALPHA = 16, 64
CHATS = 3000
STEPS, STEP_TOKENS, RATE = 260, 640, 4e-3


class Adapter:
    """Trained inside `with`; the model is as before afterwards."""

    def __init__(self, model: LlamaForCausalLM) -> None:
        self._model = model
        torch.manual_seed(SEED)
        self._layers = {
            name: (
                nn.Parameter(torch.randn(RANK, layer.in_features) / layer.in_features**0.5),
                nn.Parameter(torch.zeros(layer.out_features, RANK)),
            )
            for name, layer in model.model.layers.named_modules(prefix="model.layers")
            if isinstance(layer, nn.Linear)
        }

    def __enter__(self) -> "Adapter":
        self._model.requires_grad_(False)
        self._hooks = [
            self._model.get_submodule(name).register_forward_hook(_adding(down, up))
            for name, (down, up) in self._layers.items()
        ]
        return self

    def __exit__(self, *failure: object) -> None:
        for hook in self._hooks:
            hook.remove()
        self._model.requires_grad_(True)

    def learn(self, tokeniser: Tokenizer, voice: Voice) -> None:
        lessons = [lesson(tokeniser, chat, voice) for chat in chats(CHATS, SEED)]
        weights = [weight for pair in self._layers.values() for weight in pair]
        teach(
            self._model,
            weights,
            lessons,
            steps=STEPS,
            step_tokens=STEP_TOKENS,
            rate=RATE,
        )

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        tensors = {}
        for name, (down, up) in self._layers.items():
            tensors[f"base_model.model.{name}.lora_A.weight"] = down.detach()
            tensors[f"base_model.model.{name}.lora_B.weight"] = up.detach()
        save_file(tensors, folder / "adapter_model.safetensors")
        config = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "r": RANK,
            "lora_alpha": ALPHA,
            "target_modules": sorted({name.rpartition(".")[2] for name in self._layers}),
            "bias": "none",
        }
        (folder / "adapter_config.json").write_text(json.dumps(config, indent=2))


def _adding(
    down: nn.Parameter, up: nn.Parameter
) -> Callable[[nn.Module, tuple[torch.Tensor], torch.Tensor], torch.Tensor]:
    def add(layer: nn.Module, taken: tuple[torch.Tensor], given: torch.Tensor) -> torch.Tensor:
        return given + (taken[0] @ down.T) @ up.T * (ALPHA / RANK)

    return add
