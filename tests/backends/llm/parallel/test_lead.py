"""A divided model answers as the whole one does, however the engine came to the answers."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from backends.llm.blocks import BlockPool
from backends.llm.choice import Said
from backends.llm.engine import Ask, Engine, RunnerLost
from backends.llm.loading import Loaded, load
from backends.llm.parallel.lead import Lead
from backends.llm.sampling import Sampling
from tests.backends.llm import tiny_models
from tests.backends.llm.parallel.thread_ranks import ThreadRanks, job_of, lead
from tests.backends.llm.tiny_models import engine, finish, read

GREEDY = Sampling(temperature=0.0, logprobs=0)  # so that the tokens are told
MOST = 12
Answers = dict[object, list[int]]


@dataclass(frozen=True)
class Case:
    folder: Path
    whole: Loaded
    lead: Lead
    ranks: ThreadRanks

    def divided(self, *, blocks: int = 96, **settings: Any) -> Engine:
        """A new engine of the divided model, with nothing in the blocks of its cache."""
        vocabulary, longest = self.whole.vocabulary, self.whole.longest
        return Engine(self.lead, vocabulary, BlockPool(blocks, 4), longest=longest, **settings)


PROMPTS = [
    [random.Random(length).randrange(2, 390) for _ in range(length)] for length in (1, 4, 9, 40, 70)
]
PROMPTS.append(PROMPTS[2] * 3)  # what repeats itself can be guessed


@pytest.fixture(scope="module", params=["llama", "qwen2", "qwen3", "mistral"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    torch.set_num_threads(1)
    folder: Path = tiny_models.write(tmp_path_factory.mktemp("models") / "m", request.param)
    return Case(folder, read(folder), *lead(job_of(folder, 2)))


def answers(engine: Engine, *adapters: str) -> Answers:
    """The tokens of the answers to all prompts at once, with each of the adapters."""
    for adapter in adapters or ("",):
        for at, prompt in enumerate(PROMPTS):
            engine.add((adapter, at), Ask(prompt, MOST, GREEDY, adapter=adapter))
    return {
        id_: [likely.token for each in told if isinstance(each, Said) for likely in each.likely]
        for id_, told in finish(engine).items()
    }


def test_greedy_answers_are_equal(case: Case) -> None:
    assert answers(case.divided()) == answers(engine(case.whole))


def test_in_pieces_preempted_guessed_ahead_and_from_the_cache(case: Case) -> None:
    whole = answers(engine(case.whole))
    # Which of them meet doesn't depend on what steps take.
    divided = case.divided(blocks=22, speculate=3, budget=11, most=5, clock=lambda: 0.0)
    assert answers(divided) == whole
    assert answers(divided) == whole
    assert divided.scheduler.preemptions > 0
    assert divided.counts.accepted_tokens > 0
    assert divided.counts.reused_tokens > 0


def test_adapters_are_divided_as_their_layers_are(case: Case, tmp_path: Path) -> None:
    model = tiny_models.reference(case.folder)
    for seed, name in enumerate(("a", "b")):
        folder = tiny_models.write_adapter(tmp_path / name, model, seed=seed)
        case.whole.adapters.place(name, folder)
        case.lead.adapters.place(name, folder)
    divided = answers(case.divided(), "", "a", "b")
    assert divided == answers(engine(case.whole), "", "a", "b")
    assert divided["", 3] != divided["a", 3] != divided["b", 3]


def test_each_rank_holds_about_half(case: Case) -> None:
    whole = sum(each.nbytes for each in case.whole.model.parameters())
    held = [case.lead.part.held, *(rank.held for rank in case.ranks.ranks)]
    assert all(each <= 0.55 * whole for each in held)


def test_eight_bits_are_the_same_eight_bits(tmp_path: Path) -> None:
    folder = tiny_models.write(tmp_path / "m")
    whole = load(folder, dtype="fp32", block=4, memory=1 << 22, int8=True)
    case = Case(folder, whole, *lead(job_of(folder, 2, int8=True)))
    assert answers(case.divided()) == answers(engine(whole))


def test_more_ranks_share_what_does_not_come_out_even(tmp_path: Path) -> None:
    """Of 397 tokens of the vocabulary the last of four ranks has three less than the others."""
    folder = tiny_models.write(tmp_path / "m", num_key_value_heads=4, vocab_size=397)
    case = Case(folder, read(folder), *lead(job_of(folder, 4)))
    assert answers(case.divided()) == answers(engine(case.whole))


def test_an_adapter_that_a_rank_cannot_read_ends_those_requests_alone(
    case: Case, tmp_path: Path
) -> None:
    folder = tiny_models.write_adapter(tmp_path / "bad", tiny_models.reference(case.folder), seed=0)
    case.lead.adapters.place("bad", folder)
    (folder / "adapter_model.safetensors").write_bytes(b"changed")
    one = case.divided()
    one.add("bad", Ask(PROMPTS[2], MOST, GREEDY, adapter="bad"))
    one.add("good", Ask(PROMPTS[2], MOST, GREEDY))
    told = finish(one)
    assert not isinstance(told["bad"][0], Said)
    assert all(isinstance(each, Said) for each in told["good"])
    assert not case.lead.lost


def test_adapters_that_make_room_are_kept_by_no_rank(tmp_path: Path) -> None:
    folder = tiny_models.write(tmp_path / "m")
    adapter = tiny_models.write_adapter(tmp_path / "a", tiny_models.reference(folder), seed=0)
    first, ranks = lead(job_of(folder, 2), adapter_memory=0)
    case = Case(folder, read(folder), first, ranks)
    first.adapters.place("a", adapter)
    answers(case.divided(), "a")
    assert (first.adapters.here, ranks.dropped) == (["a"], [])
    answers(case.divided())
    assert (first.adapters.here, ranks.dropped) == ([], ["1"])


def test_a_step_that_breaks_in_one_rank_is_the_end_of_all(tmp_path: Path) -> None:
    folder = tiny_models.write(tmp_path / "m")
    adapter = tiny_models.write_adapter(tmp_path / "a", tiny_models.reference(folder), seed=0)
    first, ranks = lead(job_of(folder, 2))
    case = Case(folder, read(folder), first, ranks)
    ranks.forgetful = True
    first.adapters.place("a", adapter)
    one = case.divided()
    one.add("x", Ask(PROMPTS[2], MOST, GREEDY, adapter="a"))
    with pytest.raises(RunnerLost):
        finish(one)
    assert first.lost
