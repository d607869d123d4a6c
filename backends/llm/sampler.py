"""Chooses tokens from logits, each row by its own request's wishes and its own randomness."""

import random
from collections import Counter
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from math import inf

import torch

from backends.llm.sampling import Likely, Sampling

# Those that a request leaves are looked for among so many of the likeliest tokens, and among all
# only if these are too few, since sorting a vocabulary takes longer than many a model.
SOME = (256, 4096, 65536)


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

    By inversion: the first token at which the sum of probabilities passes a number drawn from
    [0, 1). It costs one number whatever the vocabulary is, and nothing is sorted for those that
    leave no token out.
    """
    heat = torch.tensor([row.sampling.temperature for row in rows], device=logits.device)
    shares = (logits - logits.amax(-1, keepdim=True)).div_(heat.unsqueeze(1)).softmax(-1)
    numbers = [row.rng.random() for row in rows]
    chosen = [0] * len(rows)
    cutting = [at for at, row in enumerate(rows) if row.sampling.cuts]
    free = [at for at, row in enumerate(rows) if not row.sampling.cuts]
    if free:
        found = _invert(_rows(shares, free), [numbers[at] for at in free])
        for at, token in zip(free, found.tolist(), strict=True):
            chosen[at] = token
    for size in (*SOME, shares.shape[1]):
        if not cutting:
            break
        likeliest, tokens = _rows(shares, cutting).topk(min(size, shares.shape[1]))
        left = _cut(likeliest, [rows[at] for at in cutting])
        found = _invert(left, [numbers[at] for at in cutting])
        found = tokens.gather(1, found.unsqueeze(1)).squeeze(1)
        for at, token in zip(cutting, found.tolist(), strict=True):
            chosen[at] = token
        # Where the last of them stays, there may be more.
        more = zip(cutting, left[:, -1].tolist(), strict=True)
        cutting = [at for at, last in more if last > 0.0 or rows[at].sampling.top_k > size]
    return chosen


def _cut(found: torch.Tensor, rows: Rows[Row]) -> torch.Tensor:
    """Without the tokens that the rows leave out: 0 for those, which are the last of each row.

    `found` [rows, tokens] are the probabilities of the likeliest tokens, the likeliest first.
    """

    def column(values: list[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float64, device=found.device).unsqueeze(1)

    found = found.double()
    rank = torch.arange(found.shape[1], device=found.device)
    of_k = found * (rank < column([float(row.sampling.top_k or inf) for row in rows]))
    sums = of_k.cumsum(-1)
    # What top-p is a share of: all tokens, where top-k leaves none out.
    by_k = column([float(row.sampling.top_k > 0) for row in rows])
    whole = torch.where(by_k > 0, sums[:, -1:], 1.0)
    # The likeliest token always stays, whatever is left of the others.
    kept = (sums - of_k < column([row.sampling.top_p for row in rows]) * whole) | (rank == 0)
    kept &= found >= found[:, :1] * column([row.sampling.min_p for row in rows])
    return of_k * kept


def _invert(shares: torch.Tensor, numbers: list[float]) -> torch.Tensor:
    """Places [rows]: the first at which the sum of a row's shares passes that share of them all."""
    sums = shares.cumsum(-1, dtype=torch.float64)
    wanted = torch.tensor(numbers, dtype=torch.float64, device=sums.device).unsqueeze(1)
    at = torch.searchsorted(sums, sums[:, -1:] * wanted, right=True)
    return at.squeeze(1).clamp(max=sums.shape[1] - 1)


def _rows(shares: torch.Tensor, which: list[int]) -> torch.Tensor:
    """Those rows, not copied if they are all."""
    return shares if len(which) == shares.shape[0] else shares[which]


def _likely(logits: torch.Tensor, token: int, sampling: Sampling) -> Likely:
    if sampling.logprobs < 0:
        return Likely(token, 0.0)
    logprobs = logits.log_softmax(-1)
    values, tokens = logprobs.topk(sampling.logprobs)
    top = zip(tokens.tolist(), values.tolist(), strict=True)
    return Likely(token, float(logprobs[token]), tuple(top))
