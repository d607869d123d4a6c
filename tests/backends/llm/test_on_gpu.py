"""Language models on a GPU: the same answers as on the CPU, with graphs and without."""

from pathlib import Path

import pytest
import torch

from backends.llm.engine import Ask
from backends.llm.gathered import Row, batch
from backends.llm.loading import Loaded, load
from backends.llm.sampling import Sampling
from tests.backends.llm import tiny_models

pytestmark = pytest.mark.gpu

PROMPTS = [[5, 6, 7], [9] * 40, list(range(20, 90)), [11, 12]]


def answers(loaded: Loaded) -> list[list[int]]:
    engine = tiny_models.engine(loaded)
    for at, prompt in enumerate(PROMPTS):
        engine.add(at, Ask(prompt, 24, Sampling(temperature=0.0), ignore_end=True))
    sequences = [engine._requests[at].choices[0].sequence for at in range(len(PROMPTS))]
    tiny_models.finish(engine)
    return [sequence.output for sequence in sequences]


@pytest.mark.parametrize("family", ["llama", "qwen3", "mistral"])
def test_greedy_answers_are_those_of_transformers(tmp_path: Path, family: str) -> None:
    folder = tiny_models.write(tmp_path / "base", family)
    model = tiny_models.reference(folder)
    loaded = load(folder, dtype="fp32", block=16, memory=1 << 24, device="cuda:0")
    for _ in range(2):  # the second time, all sizes of steps are recorded
        for prompt, found in zip(PROMPTS, answers(loaded), strict=True):
            assert tiny_models.same(model, prompt, found, tiny_models.greedy(model, prompt, 24))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("window", [0, 9, 33])
def test_the_kernel_is_compiled_and_right(dtype: torch.dtype, window: int) -> None:
    from backends.llm import decoding

    rng = torch.Generator().manual_seed(0)
    keys, values = (torch.randn(12, 16, 2, 64, generator=rng).to(dtype) for _ in range(2))
    queries = torch.randn(3, 8, 64, generator=rng).to(dtype)
    tables = [[5, 0, 0, 0, 0], [7, 3, 0, 0, 0], [1, 9, 4, 11, 6]]
    lengths = [1, 17, 70]
    rows = [
        Row(at, 1, n - 1, held) for at, (n, held) in enumerate(zip(lengths, tables, strict=True))
    ]
    wanted = torch.empty_like(queries, dtype=torch.float32)
    batch(rows, 16).attend(queries.float(), keys.float(), values.float(), wanted, None, window)
    found = decoding.attend(
        *(each.cuda() for each in (queries, keys, values)),
        torch.tensor(tables, device="cuda"),
        torch.tensor(lengths, device="cuda"),
        window=window,
    )
    close = 1e-4 if dtype is torch.float32 else 2e-2
    torch.testing.assert_close(found.float().cpu(), wanted, rtol=close, atol=close)
