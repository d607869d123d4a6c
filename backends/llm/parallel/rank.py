"""`python -m backends.llm.parallel.rank`: one part of a model, in a process of its own.

Steps come through the group; on standard input come the job, then adapters to be read or dropped,
a line each, and each reading is answered by a line on standard output. The end of standard input is
the end of the process: whoever started it has ended, or wants it no more.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import torch

from backends.llm.adapters import Adapter, Adapters, read
from backends.llm.parallel.group import Group
from backends.llm.parallel.job import Job
from backends.llm.parallel.messages import demands_from
from backends.llm.parallel.part import Part, join
from protos.incident import frames_of

log = logging.getLogger(__name__)

Say = Callable[[dict[str, Any]], None]


class Handed:
    """Adapters that are read before any step needs them, and kept until rank 0 drops them."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._read: dict[str, Adapter] = {}
        # What it lets go of by itself, after each step, is still here.
        self.adapters = Adapters(part.model, 0, self)

    def fetch(self, id_: str, folder: Path) -> Adapter:
        return self._read[id_]

    def drop(self, adapter: Adapter) -> None:
        """Rank 0 says when it is no longer needed."""

    def obey(self, message: dict[str, str], say: Say) -> None:
        """A message of rank 0's: reads an adapter, and answers, or forgets one."""
        if "drop" in message:
            self._read.pop(message["drop"], None)
            return
        id_, folder = message["read"], Path(message["folder"])
        try:
            found = read(folder, self._part.model, self._part.shards)
        except Exception as error:  # whatever it is: rank 0 waits for an answer
            known = isinstance(error, ValueError)
            say(
                {
                    "fault": str(error)
                    if known
                    else f"the adapter can't be read: {type(error).__name__}"
                }
            )
            return
        if found.digest != message["digest"]:
            say({"fault": "the adapter's files have changed"})
            return
        self._read[id_] = found
        self.adapters.place(id_, folder)
        say({"read": id_})


class Rank:
    """Joins the others and reads its part; raises ValueError or RuntimeError if it can't."""

    def __init__(self, job: Job) -> None:
        group = Group.join(Path(job.meeting), job.rank, job.size, torch.device(job.device))
        self._part = join(job, group)
        self._group = group
        self.handed = Handed(self._part)
        self._runner = self._part.runner(job, self.handed.adapters)

    @property
    def held(self) -> int:
        """Bytes of its weights."""
        return self._part.held

    def step(self) -> None:
        """Waits for rank 0's next step and computes its part."""
        demands = demands_from(self._group.hear())
        self._runner.use(demands)
        self._runner.compute(demands)


def main() -> None:
    """Runs until standard input ends."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever else is printed is no answer
    # Those of the whole group are for the process that started us, and ends us in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def say(message: dict[str, Any]) -> None:
        answers.write(orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE))

    job = Job.parse(sys.stdin.buffer.readline())
    torch.set_num_threads(job.threads)
    if job.device.startswith("cuda"):
        torch.cuda.set_device(job.device)
    begun: list[Handed] = []
    threading.Thread(target=_listen, args=(sys.stdin.buffer, begun, say), daemon=True).start()
    say({"here": job.rank})
    try:
        _run(job, begun, say)
    except Exception as error:
        log.error("rank %d broke: %s", job.rank, frames_of(error))
    # Not by way of the interpreter's end: threads of the group may wait for others for ever.
    os._exit(1)


def _run(job: Job, begun: list[Handed], say: Say) -> None:
    try:
        rank = Rank(job)
    except ValueError as error:
        say({"fault": str(error)})
        return
    begun.append(rank.handed)
    say({"held": rank.held})
    while True:
        rank.step()


def _listen(lines: BinaryIO, begun: list[Handed], say: Say) -> None:
    for line in lines:
        begun[0].obey(orjson.loads(line), say)
    os._exit(0)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    main()
