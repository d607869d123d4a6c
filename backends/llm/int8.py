"""Weights in eight bits, activations as they were: a model's layers in a quarter of fp32's memory.

Each output of a linear layer has a scale of its own, its largest weight over 127 (symmetric, round
to nearest); weights are widened as they are used. Embeddings and the last layer stay as they are,
where rounding costs the most.
"""

from collections.abc import Callable

import torch
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

LEVELS = 127


class Int8Linear(torch.nn.Module):
    """In the place of a linear layer with `weight` [out, in]."""

    weight: torch.Tensor
    scale: torch.Tensor
    bias: torch.Tensor | None

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        largest: torch.Tensor | None = None,
    ) -> None:
        """`largest` [out] are the outputs' largest weights, where `weight` is not all of them."""
        super().__init__()
        self.out_features, self.in_features = weight.shape
        wide = weight.detach().float()
        largest = largest_of(weight) if largest is None else largest
        scale = (largest.unsqueeze(1) / LEVELS).clamp(min=torch.finfo().tiny)
        self.register_buffer("weight", (wide / scale).round().to(torch.int8))
        self.register_buffer("scale", scale.squeeze(1).to(weight.dtype))
        self.register_buffer("bias", None if bias is None else bias.detach().clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = (x @ self.weight.to(x.dtype).t()) * self.scale
        return out if self.bias is None else out + self.bias


def largest_of(weight: torch.Tensor) -> torch.Tensor:
    """Of each output [out]: its largest weight, fp32."""
    return weight.detach().float().abs().amax(1)


def quantise(
    model: PreTrainedModel,
    largest: Callable[[str, torch.Tensor], torch.Tensor] = lambda name, weight: largest_of(weight),
) -> None:
    """Replaces the linear layers of all of the model's blocks, one after the other.

    `largest` gives a layer's largest weights by its name, where the model is not all there.
    """
    last = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    for name, module in list(model.named_modules()):
        if module is last:
            continue
        if isinstance(module, torch.nn.Linear):
            narrow = Int8Linear(module.weight, module.bias, largest(name, module.weight))
        elif isinstance(module, Conv1D):  # GPT-2's, whose weight is [in, out]
            narrow = Int8Linear(module.weight.t(), module.bias)
        else:
            continue
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, narrow)
