"""How the next token is chosen: what a request may say of it, checked once."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sampling:
    """Temperature 0 takes the likeliest token; 0 for `top_k` and -1 for `logprobs` mean none.

    Applied in this order: penalties and bias, temperature, top-k, top-p, min-p. `repetition` over 1
    divides what was said or asked before (Keskar et al. 2019); `presence` and `frequency` are
    OpenAI's, of what was said. `logprobs` of so many of the likeliest tokens are told beside the
    chosen one's, before any of this.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition: float = 1.0
    presence: float = 0.0
    frequency: float = 0.0
    bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None
    logprobs: int = -1

    @property
    def plain(self) -> bool:
        """Whether the likeliest token is taken as the model gives it."""
        return self.temperature == 0.0 and not self.alters

    @property
    def alters(self) -> bool:
        """Whether something changes what the model thinks likeliest."""
        return bool(self.bias or self.presence or self.frequency) or self.repetition != 1.0

    @property
    def cuts(self) -> bool:
        """Whether unlikely tokens are left out."""
        return bool(self.top_k or self.min_p) or self.top_p < 1.0


@dataclass(frozen=True, slots=True)
class Likely:
    """A token with its log-probability, and the likeliest ones in its place."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()
