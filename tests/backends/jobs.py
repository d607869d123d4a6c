"""Jobs and policies for the batching's tests; times are small numbers on a made-up clock."""

from itertools import count
from math import inf
from typing import Any

import numpy as np

from backends.batching.batch import Batch
from backends.batching.bucket import bucket_of
from backends.batching.job import BatchPolicy, Job, Outcome
from backends.batching.scheduler import Scheduler
from protos.datatypes import Array

KEY = ("m", "1")
POLICY = BatchPolicy(max_rows=8, max_delay=0.002)

_ids = count(1)


def job(rows: int = 1, *, now: float = 0.0, timeout: float = inf, **fields: Any) -> Job:
    """A job whose input "x" holds its id in every row; `width` makes another bucket."""
    job_id = fields.pop("id", next(_ids))
    policy = fields.pop("policy", POLICY)
    x = np.full((rows, fields.pop("width", 4)), job_id, np.int64)
    bucket, rows = bucket_of({"x": x}, policy)
    return Job(
        job_id,
        fields.pop("model", KEY),
        fields.pop("inputs", {"x": x}),
        rows,
        now,
        now + timeout,
        bucket=fields.pop("bucket", bucket),
        **fields,
    )


def scheduler(
    policy: BatchPolicy = POLICY, *, seconds_a_row: float = 0.0, base: float = 0.0, **options: Any
) -> Scheduler:
    """A scheduler of one model which takes `base` + rows · `seconds_a_row`, if that is known."""
    made = Scheduler(**options)
    made.add_model(KEY, policy)
    if seconds_a_row or base:
        for rows in range(1, max(policy.max_rows, 1) + 1):
            made.cost.observe(KEY, job(policy=policy).bucket, rows, base + rows * seconds_a_row)
    return made


def ids(batch: Batch | None) -> list[Any]:
    """The ids of the batch's jobs; none without a batch."""
    return [piece.job.id for piece in batch.pieces] if batch is not None else []


def rows_of(batch: Batch) -> list[dict[str, Array]]:
    """What a model that gives its input back would return for each piece."""
    return [
        {"y": piece.job.inputs["x"][piece.start : piece.start + piece.rows]}
        for piece in batch.pieces
    ]


def settle(made: Scheduler, batch: Batch, now: float, seconds: float = 0.001) -> list[Outcome]:
    return made.settle(batch, rows_of(batch), now, now + seconds, seconds)
