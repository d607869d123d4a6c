"""Ranks in threads instead of processes: the same group, parts and steps, without their starts."""

import gc
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from backends.llm.parallel.job import Job
from backends.llm.parallel.lead import Lead
from backends.llm.parallel.rank import Rank

PATIENCE = 60.0  # seconds for a rank to be there


class ThreadRanks:
    """Ends with the group: each rank then fails to hear of the next step."""

    def __init__(self, jobs: list[Job]) -> None:
        self.ranks: list[Rank] = []
        self.dropped: list[str] = []
        self.forgetful = False  # whether they read what they are told to
        self.lost = ""
        self._there = threading.Semaphore(0)
        for job in jobs:
            threading.Thread(target=self._run, args=(job,), daemon=True).start()

    def wait_read(self, count: int) -> None:
        for _ in range(count):
            if not self._there.acquire(timeout=PATIENCE):
                raise AssertionError("a rank didn't come")

    def read(self, id_: str, folder: Path, digest: str) -> None:
        if self.forgetful:
            return
        answers = self._tell({"read": id_, "folder": str(folder), "digest": digest})
        faults = [each["fault"] for each in answers if "fault" in each]
        if faults:
            raise ValueError(faults[0])

    def drop(self, id_: str) -> None:
        self.dropped.append(id_)
        self._tell({"drop": id_})

    def close(self) -> None:
        """There are no processes to end."""

    def _run(self, job: Job) -> None:
        rank = Rank(job)
        self.ranks.append(rank)
        self._there.release()
        try:
            while True:
                rank.step()
        except Exception as error:
            self.lost = type(error).__name__
        # Its end ends its connections, as that of a process does.
        self.ranks.remove(rank)
        del rank
        gc.collect()

    def _tell(self, message: dict[str, str]) -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = []
        for rank in self.ranks:
            rank.handed.obey(message, answers.append)
        return answers


def job_of(folder: Path, size: int, *, int8: bool = False, blocks: int = 100) -> Job:
    """Rank 0's, with blocks of 4 tokens."""
    return Job(
        folder=str(folder),
        meeting=str(folder / "meeting"),
        rank=0,
        size=size,
        dtype="float32",
        int8=int8,
        block=4,
        blocks=blocks,
        threads=1,
        device="cpu",
    )


def lead(job: Job, *, adapter_memory: int = 1 << 28) -> tuple[Lead, ThreadRanks]:
    """Rank 0 of a group of threads."""
    Path(job.meeting).unlink(missing_ok=True)
    ranks = ThreadRanks([replace(job, rank=rank) for rank in range(1, job.size)])
    found = Lead(job, ranks, adapter_memory)
    ranks.wait_read(job.size - 1)
    return found, ranks
