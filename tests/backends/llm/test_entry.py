"""What devices can run, and the index of models while others read it."""

from pathlib import Path

import pytest

from backends.llm.entry import Entry, Options, Table


@pytest.mark.parametrize("block", [8, 24, 100])
def test_gpus_take_blocks_of_powers_of_two(block: int) -> None:
    with pytest.raises(ValueError, match=f"--block-size {block}: .* a power of two"):
        Options(device="cuda:0", block=block)


def test_cpus_take_blocks_of_any_size() -> None:
    assert Options(block=24).block == 24
    assert Options(device="cuda:1", block=32).block == 32


def test_entries_are_exchanged_all_at_once() -> None:
    table = Table(Entry(name, Path(name)) for name in ("b", "a"))
    before, revision = table.by_name, table.revision
    table.put(Entry("c", Path("c")), without=["a", "none"])
    assert [each.name for each in table.entries()] == ["b", "c"]
    assert list(before) == ["b", "a"]
    assert table.revision == revision + 1
