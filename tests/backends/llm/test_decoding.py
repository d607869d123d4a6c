"""The GPU's attention of single tokens is the CPU's, as Triton's interpreter runs it."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("triton", reason="Triton isn't installed")

PROGRAM = """
import torch
from backends.llm import decoding, gathered, on_gpu
from backends.llm.gathered import Row, batch

rng = torch.Generator().manual_seed(0)
size, shared, times, width = 16, 2, 3, 24
keys, values = (torch.randn(12, size, shared, width, generator=rng) for _ in range(2))
lengths = [1, 16, 17, 70]
tables = [[5, 0, 0, 0, 0], [2, 0, 0, 0, 0], [7, 3, 0, 0, 0], [1, 9, 4, 11, 6]]
queries = torch.randn(4, shared * times, width, generator=rng)
rows = [Row(at, 1, length - 1, table) for at, (length, table) in enumerate(zip(lengths, tables))]
for window in (0, 9, 33):
    wanted = torch.empty_like(queries)
    batch(rows, size).attend(queries, keys, values, wanted, None, window)
    found = decoding.attend(
        queries, keys, values, torch.tensor(tables), torch.tensor(lengths), window=window
    )
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)

rows = [*rows[:3], Row(3, 30, 40, tables[3]), Row(33, 3, 60, tables[3])]
queries = torch.randn(36, shared * times, width, generator=rng)
for window in (0, 9):
    wanted, found = torch.empty_like(queries), torch.empty_like(queries)
    for out, module in ((wanted, gathered), (found, on_gpu)):
        for group in module.groups_of(rows, size, torch.device("cpu")):
            group.attend(queries, keys, values, out, None, window)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
print("equal")
"""


def test_it_is_equal_to_the_attention_of_cpus() -> None:
    """Sequences shorter than a block, of a full one and one more, and of several, with windows."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stdout.strip() == "equal", done.stderr[-2000:]
