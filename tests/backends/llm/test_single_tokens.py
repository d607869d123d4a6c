"""Steps of single tokens in sizes of which there are few, as graphs record them, on the CPU."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from backends.llm.cuda_graphs import DecodeGraphs, Recorded
from backends.llm.loading import Loaded
from backends.llm.paged import KeyValues, Piece
from backends.llm.runner import Demand, ModelRunner
from backends.llm.single_tokens import SIZES, size_for
from tests.backends.llm import tiny_models

WIDE = 8  # blocks of a sequence
LENGTHS = (1, 4, 5, 30, 7, 8, 9, 2, 11)


@dataclass(frozen=True)
class OneByOne:
    """What the kernel of GPUs computes, in plain words."""

    at: torch.Tensor
    tables: torch.Tensor
    lengths: torch.Tensor

    def attend(
        self,
        flat: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        out: torch.Tensor,
        scale: float | None,
        window: int,
    ) -> None:
        for at, table, length in zip(self.at, self.tables, self.lengths, strict=True):
            k, v = (cache[table].flatten(0, 1)[:length].transpose(0, 1) for cache in (keys, values))
            out[at] = torch.nn.functional.scaled_dot_product_attention(
                flat[at].unsqueeze(1), k, v, scale=scale, enable_gqa=True
            ).squeeze(1)


class Repeating:
    """Records by computing again, into the same logits."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def record(self, run: Callable[[], torch.Tensor]) -> Recorded:
        self.recorded += 1
        logits = run()

        def replay() -> None:
            self.replayed += 1
            logits.copy_(run())

        return Recorded(replay, logits)


class Never:
    def record(self, run: Callable[[], torch.Tensor]) -> Recorded:
        raise RuntimeError("operation not permitted when stream is capturing")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder: Path = tiny_models.write(tmp_path_factory.mktemp("model") / "base")
    return tiny_models.read(folder)


@dataclass
class Both:
    """The same model and the same cache, without sizes and with them."""

    plain: ModelRunner
    sized: ModelRunner
    cache: KeyValues
    recorder: Repeating

    def demands(self, rows: int, token: int) -> list[Demand]:
        """The next token of the first so many sequences."""
        found = []
        for at, length in enumerate(LENGTHS[:rows]):
            blocks = list(range(1 + at * WIDE, 1 + (at + 1) * WIDE))
            found.append(Demand(Piece([token + at], length, blocks), "", 1))
        return found


@pytest.fixture
def both(loaded: Loaded) -> Both:
    cache = KeyValues(2, WIDE * len(LENGTHS), 4, 2, 8, torch.float32)
    recorder = Repeating()
    graphs = DecodeGraphs(cache, WIDE, OneByOne, recorder)
    found = Both(
        ModelRunner(loaded.model, cache, loaded.adapters),
        ModelRunner(loaded.model, cache, loaded.adapters, graphs),
        cache,
        recorder,
    )
    prompts = [
        Demand(Piece([9 + at] * each.piece.start, 0, each.piece.blocks), "", 0)
        for at, each in enumerate(found.demands(len(LENGTHS), 0))
    ]
    found.sized.compute(prompts)
    return found


def test_the_smallest_size_that_has_room_is_taken() -> None:
    assert [size_for(rows) for rows in (1, 2, 3, 5, 64, 65, 256)] == [1, 2, 4, 8, 64, 96, 256]
    assert size_for(257) is None


@pytest.mark.parametrize("rows", [1, 3, 5, 9])
def test_padding_changes_nothing(both: Both, rows: int) -> None:
    for token in (20, 30, 40):  # plainly, recorded, and replayed
        wanted = both.plain.compute(both.demands(rows, token))
        kept = both.cache.keys.clone(), both.cache.values.clone()
        found = both.sized.compute(both.demands(rows, token))
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
        for after, before in zip((both.cache.keys, both.cache.values), kept, strict=True):
            last = both.cache.scratch
            torch.testing.assert_close(after[:, :last], before[:, :last], rtol=1e-4, atol=1e-5)
    assert both.recorder.replayed == 2


def test_a_size_is_recorded_when_it_comes_again(both: Both) -> None:
    for rows in (3, 1, 4, 3):
        both.sized.compute(both.demands(rows, 20))
    assert (both.recorder.recorded, both.recorder.replayed) == (1, 2)


def test_prompts_guesses_and_adapters_are_not_recorded(both: Both) -> None:
    piece = both.demands(1, 20)[0].piece
    for demand in (
        Demand(Piece([7, 8], 0, piece.blocks), "", 1),
        Demand(Piece([7, 8], 0, piece.blocks), "", 2),
        Demand(piece, "", 0),
        Demand(piece, "legal", 1),
    ):
        both.sized.compute([demand])
        both.sized.compute([demand])
    assert both.recorder.recorded == 0


def test_what_cant_be_recorded_is_computed_plainly(both: Both, loaded: Loaded) -> None:
    graphs = DecodeGraphs(both.cache, WIDE, OneByOne, Never())
    runner = ModelRunner(loaded.model, both.cache, loaded.adapters, graphs)
    for _ in range(3):
        wanted = both.plain.compute(both.demands(3, 20))
        found = runner.compute(both.demands(3, 20))
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_more_than_the_largest_size_are_computed_plainly(both: Both) -> None:
    (one,) = both.demands(1, 20)
    many = [one] * (SIZES[-1] + 1)
    for _ in range(2):
        assert both.sized.compute(many).shape[0] == len(many)
    assert both.recorder.recorded == 0
