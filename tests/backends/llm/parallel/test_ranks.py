"""A rank in a process of its own, which does as it is told and ends when nobody tells it more."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from backends.llm.adapters import read
from backends.llm.parallel.group import Group
from backends.llm.parallel.ranks import Ranks
from tests.backends.llm import tiny_models
from tests.backends.llm.parallel.thread_ranks import job_of


def test_a_rank_reads_its_part_and_adapters_until_its_input_ends(tmp_path: Path) -> None:
    folder = tiny_models.write(tmp_path / "m")
    whole = tiny_models.reference(folder)
    adapter = tiny_models.write_adapter(tmp_path / "a", whole, seed=0)
    job = job_of(folder, 2)
    ranks = Ranks([replace(job, rank=1)])
    ranks.wait_here()
    # For as long as it is there, the rank waits for its first step.
    group = Group.join(Path(job.meeting), 0, 2, torch.device("cpu"))
    assert group.size == 2
    (held,) = ranks.wait_read()
    assert held <= 0.55 * sum(each.nbytes for each in whole.parameters())
    digest = read(adapter, whole).digest
    ranks.read("1", adapter, digest)
    ranks.drop("1")
    with pytest.raises(ValueError, match="files have changed"):
        ranks.read("2", adapter, "another")
    (adapter / "adapter_config.json").write_text("{}")
    with pytest.raises(ValueError, match="LORA"):
        ranks.read("3", adapter, digest)
    assert ranks.lost == ""
    ranks.close()
    assert ranks.lost == "rank 1 has ended with status 0"
