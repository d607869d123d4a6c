"""Chooses tokens from logits, each row by its own request's wishes and its own randomness."""

import random
from collections import Counter
from collections.abc import Sequence as Rows
from dataclasses import dataclass

import torch

from backends.llm.sampling import Likely, Sampling


@dataclass(frozen=True, slots=True)
class Row:
    """Where one row of logits belongs; `said` of the tokens before it were generated."""

    sampling: Sampling
    rng: random.Random
    tokens: Rows[int]
    said: int


def sample(logits: torch.Tensor, rows: Rows[Row]) -> list[Likely]:
    """The next token of each row of `logits` [rows, vocabulary], fp32.

    A row's token doesn't depend on what else is in the batch. Draws one number from the generator
    of each row with a temperature.
    """
    if all(row.sampling.plain for row in rows):
        chosen: list[int] = logits.argmax(-1).tolist()
    else:
        altered = _altered(logits, rows)
        chosen = altered.argmax(-1).tolist()
        drawing = [at for at, row in enumerate(rows) if row.sampling.temperature > 0.0]
        if drawing:
            drawn = _draw(altered[drawing], [rows[at] for at in drawing])
            for at, token in zip(drawing, drawn, strict=True):
                chosen[at] = token
    if all(row.sampling.logprobs < 0 for row in rows):
        return [Likely(token, 0.0) for token in chosen]
    return [_likely(logits[at], token, rows[at].sampling) for at, token in enumerate(chosen)]


def _altered(logits: torch.Tensor, rows: Rows[Row]) -> torch.Tensor:
    """With penalties and bias."""
    if not any(row.sampling.alters for row in rows):
        return logits
    logits = logits.clone()
    for values, row in zip(logits, rows, strict=True):
        sampling = row.sampling
        if sampling.repetition != 1.0:
            seen = torch.tensor(sorted(set(row.tokens)), device=values.device)
            old = values[seen]
            values[seen] = torch.where(
                old > 0, old / sampling.repetition, old * sampling.repetition
            )
        if sampling.presence or sampling.frequency:
            counts = Counter(row.tokens[len(row.tokens) - row.said :] if row.said else ())
            if counts:
                often = torch.tensor(
                    list(counts.values()), dtype=values.dtype, device=values.device
                )
                values[list(counts)] -= sampling.presence + sampling.frequency * often
        if sampling.bias:
            values[list(sampling.bias)] += torch.tensor(
                list(sampling.bias.values()), dtype=values.dtype, device=values.device
            )
    return logits


def _draw(logits: torch.Tensor, rows: Rows[Row]) -> list[int]:
    """One token of each row by its probability, after temperature, top-k, top-p and min-p.

    By inversion: the first token at which the sum of probabilities, the largest first, passes a
    number drawn from [0, 1). It costs one number whatever the vocabulary is.
    """

    def column(values: list[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float64, device=logits.device).unsqueeze(1)

    scaled = logits.double() / column([row.sampling.temperature for row in rows])
    found, order = scaled.softmax(-1).sort(descending=True, stable=True)
    size = found.shape[1]
    rank = torch.arange(size, device=logits.device)
    found = found * (rank < column([float(row.sampling.top_k or size) for row in rows]))
    found = found / found.sum(-1, keepdim=True)
    before = found.cumsum(-1) - found
    # The likeliest token always stays, whatever is left of the others.
    kept = (before < column([row.sampling.top_p for row in rows])) | (rank == 0)
    kept &= found >= found[:, :1] * column([row.sampling.min_p for row in rows])
    found = found * kept
    sums = found.cumsum(-1)
    wanted = sums[:, -1:] * column([row.rng.random() for row in rows])
    at = torch.searchsorted(sums, wanted, right=True).clamp(max=size - 1)
    tokens: list[int] = order.gather(1, at).squeeze(1).tolist()
    return tokens


def _likely(logits: torch.Tensor, token: int, sampling: Sampling) -> Likely:
    if sampling.logprobs < 0:
        return Likely(token, 0.0)
    logprobs = logits.log_softmax(-1)
    values, tokens = logprobs.topk(sampling.logprobs)
    top = zip(tokens.tolist(), values.tolist(), strict=True)
    return Likely(token, float(logprobs[token]), tuple(top))
