"""Rank 0 of a divided model: it schedules and samples, and tells the others each step."""

import logging
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from backends.llm.adapters import Adapter, Adapters, read
from backends.llm.cache_form import CacheForm
from backends.llm.engine import RunnerLost
from backends.llm.paged import NAME
from backends.llm.parallel.group import Group
from backends.llm.parallel.job import Job
from backends.llm.parallel.messages import numbers_of
from backends.llm.parallel.part import join
from backends.llm.parallel.ranks import Mates, Ranks
from backends.llm.parallel.reading import outline
from backends.llm.parallel.sharding import shards_of
from backends.llm.plan import Work
from backends.llm.runner import demands_of
from protos.incident import frames_of

log = logging.getLogger(__name__)


class Lead:
    """A runner for the engine, and where adapters come from."""

    def __init__(self, job: Job, mates: Mates, adapter_memory: int) -> None:
        """Joins the ranks and reads the part; raises ValueError or RuntimeError if it can't."""
        self._job = job
        self._mates = mates
        self._group = Group.join(Path(job.meeting), job.rank, job.size, torch.device(job.device))
        self._broken = ""
        self._numbers = count(1)  # of adapters
        self.part = join(job, self._group)
        self.adapters = Adapters(self.part.model, adapter_memory // job.size, self)
        self._runner = self.part.runner(job, self.adapters)

    @property
    def lost(self) -> str:
        """Why nothing can be computed any more; "" while it can."""
        return self._broken or self._mates.lost

    def run(self, plan: list[Work], interrupted: Callable[[], bool] | None = None) -> torch.Tensor:
        """See `backends.llm.engine.Runner`; no step is given up on the way, as others are in it."""
        demands = demands_of(plan)
        # What fails here harms its own requests alone: nobody else has heard of the step yet.
        self._runner.use(demands)
        numbers = numbers_of(demands, self.adapters.number, self._job.block)
        try:
            self._group.tell(numbers)
            return self._runner.compute(demands)
        except Exception as error:
            # Ranks that are not at the same place in a step would wait for each other for ever.
            self._broken = "a step broke that all ranks were in"
            log.error("the ranks have lost each other: %s", frames_of(error))
            raise RunnerLost from error

    def fetch(self, id_: str, folder: Path) -> Adapter:
        """The rank's part of an adapter, of which all others read theirs."""
        found = read(folder, self.part.model, self.part.shards)
        # A new one for each reading: what is dropped and read again at once is not mixed up.
        number = next(self._numbers)
        self._mates.read(str(number), folder, found.digest)
        return replace(found, number=number)

    def drop(self, adapter: Adapter) -> None:
        self._mates.drop(str(adapter.number))

    def close(self) -> None:
        self._mates.close()


def divide(
    folder: Path,
    config: Any,
    form: CacheForm,
    blocks: int,
    size: int,
    int8: bool,
    adapter_memory: int,
    device: torch.device,
) -> Lead:
    """Starts `size` - 1 further ranks, and reads the model into all of them.

    Of GPUs, `device` is the first one's, and the next ones' follow it.

    Raises ValueError with a sentence for what can't be served.
    """
    whole = outline(config, form.dtype, NAME)
    shards_of(whole, 0, size)
    devices = _devices(device, size)
    bytes_ = sum(each.nbytes for each in whole.parameters())
    with TemporaryDirectory(prefix="penstock-ranks-") as meeting:
        jobs = [
            Job(
                folder=str(folder.resolve()),
                meeting=f"{meeting}/group",
                rank=rank,
                size=size,
                dtype=str(form.dtype).removeprefix("torch."),
                int8=int8,
                block=form.block,
                blocks=blocks,
                threads=torch.get_num_threads(),
                device=devices[rank],
            )
            for rank in range(size)
        ]
        ranks = Ranks(jobs[1:])
        try:
            ranks.wait_here()
            lead = Lead(jobs[0], ranks, adapter_memory)
            held = [lead.part.held, *ranks.wait_read()]
        except RuntimeError as error:
            ranks.close()
            raise ValueError(f"its ranks lost each other: {ranks.lost}") from error
        except BaseException:
            ranks.close()
            raise
    for rank, part in enumerate(held):
        log.info("%s: rank %d holds %d of %d bytes of weights", folder.name, rank, part, bytes_)
    return lead


def _devices(first: torch.device, size: int) -> list[str]:
    if first.type != "cuda":
        return [first.type] * size
    begin = first.index or 0
    if begin + size > torch.cuda.device_count():
        there = torch.cuda.device_count()
        raise ValueError(f"{size} ranks from {first} on take more GPUs than the {there} there are")
    return [f"cuda:{begin + rank}" for rank in range(size)]
