"""From a step's logits to the next tokens of everybody in it, guessed ones checked on the way."""

import random
from collections.abc import Callable

import torch

from backends.llm.plan import Work
from backends.llm.sampler import Row, sample
from backends.llm.sampling import Likely
from backends.llm.sequence import Sequence

# None: what the model computed is no number.
Chosen = list[Likely] | None


def choose(
    plan: list[Work], logits: torch.Tensor, rng_of: Callable[[Sequence], random.Random]
) -> list[Chosen]:
    """For each work its next tokens, none for one whose prompt goes on.

    `logits` as `backends.llm.engine.Runner` gives them. Of each generator as many numbers are drawn
    as tokens come of it, so that an answer is the same with guesses and without.
    """
    rows: list[Row] = []
    before: dict[Sequence, tuple[object, ...]] = {}
    for work in plan:
        sequence = work.sequence
        if not work.completes:
            continue
        rng = rng_of(sequence)
        if sequence.draft and sequence.sampling.temperature > 0.0:
            before[sequence] = rng.getstate()
        for at in range(len(sequence.draft) + 1):
            tokens = [*sequence.tokens, *sequence.draft[:at]] if at else sequence.tokens
            rows.append(Row(sequence.sampling, rng, tokens, len(tokens) - sequence.prompt))
    if not rows:
        return [[] for _ in plan]
    sound: list[bool] = logits.amax(-1).isfinite().tolist()
    if not all(sound):
        logits = torch.where(torch.tensor(sound, device=logits.device).unsqueeze(1), logits, 0.0)
    chosen = sample(logits, rows)
    found: list[Chosen] = []
    at = 0
    for work in plan:
        if not work.completes:
            found.append([])
            continue
        sequence = work.sequence
        end = at + len(sequence.draft) + 1
        kept = _accept(sequence.draft, chosen[at:end])
        found.append(kept if all(sound[at:end]) else None)
        at = end
        if sequence in before:
            rng = rng_of(sequence)
            rng.setstate(before[sequence])
            for _ in kept:
                rng.random()
    return found


def _accept(draft: list[int], chosen: list[Likely]) -> list[Likely]:
    """The tokens up to the first that wasn't guessed, that one included.

    Each was chosen as if all before it had been chosen in steps of their own, so the answer is
    exactly what it would be without guesses (Leviathan et al. 2023, where the draft is certain).
    """
    for at, guessed in enumerate(draft):
        if chosen[at].token != guessed:
            return chosen[: at + 1]
    return chosen
