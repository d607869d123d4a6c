"""One rank's part of a model, connected with the others'."""

from dataclasses import dataclass

import torch
from transformers import AutoConfig, PreTrainedModel

from backends.llm.adapters import Adapters
from backends.llm.cache_form import CacheForm
from backends.llm.int8 import largest_of, quantise
from backends.llm.paged import NAME
from backends.llm.parallel.group import Group
from backends.llm.parallel.job import Job
from backends.llm.parallel.reading import outline, read_part
from backends.llm.parallel.sharding import INPUTS, Shards, connect
from backends.llm.runner import ModelRunner


@dataclass(frozen=True, slots=True)
class Part:
    """What one rank has; `held` are the bytes of its weights."""

    model: PreTrainedModel
    shards: Shards
    held: int

    def runner(self, job: Job, adapters: Adapters) -> ModelRunner:
        """Runs it, with a cache for the rank's share of the heads."""
        form = CacheForm.of(self.model.config, job.block, self.model.dtype)
        return ModelRunner(
            self.model, form.make(job.blocks, job.size, torch.device(job.device)), adapters
        )


def join(job: Job, group: Group) -> Part:
    """Reads the rank's part; all ranks do it at the same time.

    Raises ValueError with a sentence for what can't be divided or isn't there.
    """
    config = AutoConfig.from_pretrained(job.folder, local_files_only=True, trust_remote_code=False)
    model = outline(config, getattr(torch, job.dtype), NAME)
    shards = read_part(job.path, model, job.rank, job.size, torch.device(job.device))
    if job.int8:

        def largest(name: str, weight: torch.Tensor) -> torch.Tensor:
            found = largest_of(weight)
            divided = shards.get(name)
            # Whose inputs are divided has some of each output's weights in every rank.
            some = divided is not None and divided.dimension == INPUTS
            return group.largest(found) if some else found

        quantise(model, largest)
    connect(model, shards, group)
    held = sum(each.nbytes for each in (*model.parameters(), *model.buffers()))
    return Part(model, shards, held)
