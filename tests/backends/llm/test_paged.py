"""What one request leaves in the cache harms no other one, whatever it is."""

from collections.abc import Iterator

import pytest
import torch

from backends.llm.blocks import BlockPool
from backends.llm.choice import Said
from backends.llm.engine import Ask, Engine
from backends.llm.loading import Loaded
from backends.llm.sampling import Sampling
from protos.errors import Kind, PenstockError
from tests.backends.llm import tiny_models
from tests.backends.llm.tiny_models import finish, read

GREEDY = Sampling(temperature=0.0)
POISON = 9  # a token of which the model knows no numbers
PROMPT = [20, 21, 22, 23, 24]
LONG = [POISON, *range(30, 80)]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    torch.set_num_threads(1)
    return read(tiny_models.write(tmp_path_factory.mktemp("models") / "m"))


@pytest.fixture
def poisoned(loaded: Loaded) -> Iterator[Loaded]:
    weight = loaded.model.get_input_embeddings().weight
    with torch.no_grad():
        before = weight[POISON].clone()
        weight[POISON] = torch.nan
        yield loaded
        weight[POISON] = before


def engine(loaded: Loaded, *, budget: int = 512) -> Engine:
    """With so few blocks that each is used again."""
    pool = BlockPool(20, loaded.pool.size)
    return Engine(loaded.runner, loaded.vocabulary, pool, longest=80, budget=budget)


def answer(one: Engine, tokens: list[int], tenant: str = "innocent") -> str | Kind:
    one.add("x", Ask(tokens, 8, GREEDY, ignore_end=True, tenant=tenant))
    told = finish(one)["x"]
    if isinstance(told[-1], PenstockError):
        return told[-1].kind
    return "".join(each.text for each in told if isinstance(each, Said))


def test_a_request_that_is_no_number_ends_alone_and_those_after_it_are_answered(
    poisoned: Loaded,
) -> None:
    wanted = answer(engine(poisoned), PROMPT)
    assert isinstance(wanted, str)
    one = engine(poisoned, budget=16)
    for _ in range(3):
        assert answer(one, LONG, "evil") is Kind.MODEL_FAILED
        assert answer(one, PROMPT) == wanted


def test_nor_does_one_harm_that_leaves_before_it_is_found_out(poisoned: Loaded) -> None:
    wanted = answer(engine(poisoned), PROMPT)
    assert isinstance(wanted, str)
    one = engine(poisoned, budget=16)
    for _ in range(3):
        one.add("evil", Ask(LONG, 8, GREEDY, tenant="evil"))
        one.step(0.0)
        one.cancel("evil")
        assert answer(one, PROMPT) == wanted


def test_what_was_no_number_is_not_found_by_the_next_one_with_that_prompt(loaded: Loaded) -> None:
    """As after an error of the device, which the same prompt doesn't meet again."""
    wanted = answer(engine(loaded), LONG)
    one = engine(loaded, budget=16)
    weight = loaded.model.get_input_embeddings().weight
    with torch.no_grad():
        before = weight[POISON].clone()
        weight[POISON] = torch.nan
        assert answer(one, LONG) is Kind.MODEL_FAILED
        weight[POISON] = before
    assert answer(one, LONG) == wanted
