"""Tokens are chosen as their own request wants, whatever else is in the batch."""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from backends.llm.sampler import Row, sample
from backends.llm.sampling import Sampling

LOGITS = torch.tensor([1.0, 3.0, 2.0, 0.0])


def row(seed: int = 0, tokens: Sequence[int] = (), said: int = 0, **wishes: object) -> Row:
    return Row(Sampling(**wishes), random.Random(seed), tokens, said)  # type: ignore[arg-type]


def drawn(count: int = 400, logits: torch.Tensor = LOGITS, **wishes: object) -> Counter[int]:
    rows = [row(seed, **wishes) for seed in range(count)]
    return Counter(each.token for each in sample(logits.repeat(count, 1), rows))


def test_without_a_temperature_the_likeliest_is_taken() -> None:
    assert drawn(3, temperature=0.0) == {1: 3}


def test_tokens_come_by_their_probability() -> None:
    found, wanted = drawn(4000), LOGITS.softmax(-1)
    for token, share in enumerate(wanted.tolist()):
        assert found[token] / 4000 == pytest.approx(share, abs=0.03)


def test_a_temperature_flattens() -> None:
    assert drawn(temperature=2.0)[1] < drawn(temperature=0.5)[1]


def test_only_the_k_likeliest() -> None:
    assert drawn(top_k=2).keys() == {1, 2}
    assert drawn(top_k=1).keys() == {1}


def test_only_as_many_as_make_up_p() -> None:
    assert drawn(top_p=0.8).keys() == {1, 2}  # 0.64 alone isn't enough
    assert drawn(top_p=0.6).keys() == {1}
    assert drawn(top_p=0.0).keys() == {1}


def test_only_those_not_much_less_likely_than_the_likeliest() -> None:
    assert drawn(min_p=0.2).keys() == {1, 2}
    assert drawn(min_p=1.0).keys() == {1}


def test_the_same_seed_says_the_same_whatever_else_is_in_the_batch() -> None:
    logits = torch.randn(8, 50, generator=torch.Generator().manual_seed(3))
    alone = [sample(logits[at : at + 1], [row(at, top_p=0.9)])[0] for at in range(8)]
    mixed = [row(at, top_p=0.9) if at % 2 else row(at, temperature=0.0) for at in range(8)]
    together = sample(logits, mixed)
    assert [together[at] for at in (1, 3, 5, 7)] == [alone[at] for at in (1, 3, 5, 7)]


def test_what_was_said_is_less_likely_by_openais_penalties() -> None:
    greedy = {"temperature": 0.0}

    def best(**wishes: object) -> int:
        return sample(LOGITS[None], [row(tokens=[1, 2, 1], said=3, **wishes, **greedy)])[0].token

    assert best(presence=0.5) == 1
    assert best(presence=2.5) == 0  # 1 and 2 were said
    assert best(frequency=0.9) == 1  # 1.2 against 1.1 and 1.0
    assert best(frequency=1.1) == 0


def test_the_prompt_counts_for_repetition_alone() -> None:
    greedy = {"temperature": 0.0, "tokens": [1], "said": 0}
    assert sample(LOGITS[None], [row(presence=2.0, **greedy)])[0].token == 1
    assert sample(LOGITS[None], [row(repetition=2.0, **greedy)])[0].token == 2


def test_repetition_makes_negative_logits_more_so() -> None:
    logits = torch.tensor([[-1.0, -1.1]])
    found = sample(logits, [row(tokens=[0], temperature=0.0, repetition=1.5)])
    assert found[0].token == 1


def test_a_bias_decides() -> None:
    assert sample(LOGITS[None], [row(temperature=0.0, bias={3: 100.0})])[0].token == 3
    assert 1 not in drawn(bias={1: -100.0})


def test_logprobs_are_the_models_own() -> None:
    (found,) = sample(LOGITS[None], [row(temperature=0.0, bias={0: 50.0}, logprobs=2)])
    assert found.token == 0
    wanted = LOGITS.log_softmax(-1).tolist()
    assert found.logprob == pytest.approx(wanted[0])
    assert [token for token, _ in found.top] == [1, 2]
    assert [logprob for _, logprob in found.top] == pytest.approx([wanted[1], wanted[2]])


class Sorting(TorchDispatchMode):
    """Notes how many tokens each row that is sorted, at least in part, comes to."""

    def __init__(self) -> None:
        super().__init__()
        self.sorted: list[int] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        if func.overloadpacket.__name__ in ("sort", "topk"):
            self.sorted.append(found[0].shape[-1])
        return found


def test_the_vocabulary_is_not_sorted_to_draw_from_it() -> None:
    logits = 3 * torch.randn(3, 9000, generator=torch.Generator().manual_seed(3))
    with Sorting() as seen:
        sample(logits, [row(at) for at in range(3)])
    assert seen.sorted == []
    with Sorting() as seen:
        sample(logits, [row(top_k=40), row(top_k=200, top_p=0.9), row(top_k=50, min_p=0.1)])
    assert seen.sorted == [256]


@pytest.mark.parametrize("bounds", [{"top_p": 0.9}, {"min_p": 1e-4}, {"top_k": 700, "top_p": 0.9}])
def test_however_many_tokens_are_left_each_is_drawn_by_its_share(bounds: dict[str, Any]) -> None:
    """More than are looked at first; the reference sorts all of them."""
    logits = torch.randn(1, 6000, generator=torch.Generator().manual_seed(5))
    shares, order = logits[0].double().softmax(-1).sort(descending=True)
    shares[int(bounds.get("top_k", 6000)) :] = 0.0
    before = shares.cumsum(-1) - shares
    shares *= before < bounds.get("top_p", 1.0) * shares.sum()
    shares *= shares >= bounds.get("min_p", 0.0) * shares[0]
    assert (shares > 0).sum() > 256
    sums = shares.cumsum(-1) / shares.sum()
    for seed in range(20):
        (found,) = sample(logits, [row(seed, **bounds)])
        wanted = torch.searchsorted(sums, random.Random(seed).random(), right=True)
        assert found.token == order[wanted]
