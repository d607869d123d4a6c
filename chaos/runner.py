"""Runs experiments one after the other, each in a process of its own.

So one that hangs or takes its process with it is one result, and those that break networks do it
in a namespace that ends with them.
"""

import subprocess
import sys
import time
from functools import partial
from os import getpid
from pathlib import Path

from chaos import results
from chaos.experiment import Experiment, Result
from chaos.faults import cgroup
from chaos.probe import missing
from chaos.verdict import State
from protos.orphans import die_with

LIMIT = 300.0  # seconds for one experiment
PARTING = 90.0  # seconds for what it started to end
# sh, since a new namespace's loopback is down.
_INSIDE = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")


def run(experiment: Experiment, folder: Path, *, short: bool, seed: int) -> Result:
    """Its result; what it wrote stays in the folder."""
    lacking = missing(experiment.needs)
    if lacking:
        return _without(experiment, "not run", f"needs {', '.join(lacking)}")
    folder.mkdir(parents=True)
    began = time.monotonic()
    command = [sys.executable, "-m", "chaos", "one", experiment.name, str(folder)]
    command += ["--seed", str(seed), *(["--short"] if short else [])]
    with (folder / "output").open("wb") as output:
        child = subprocess.Popen(
            [*_INSIDE, *command] if experiment.inside else command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=partial(die_with, getpid()),
            # Ctrl-C is for this process; it tells the child once, which then tidies up.
            start_new_session=True,
        )
        why = "ended without a result"
        try:
            child.wait(LIMIT)
        except subprocess.TimeoutExpired:
            why = f"took longer than {LIMIT:g} s"
        finally:
            _end(child)
    try:
        return results.read(folder)
    except (OSError, ValueError):
        words = (folder / "output").read_text(errors="replace")[-2000:]
        took = time.monotonic() - began
        return _without(experiment, "broken", f"{why}: {words}", took)


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Lets it undo its faults and keep its histories; what it started ends with it in any case."""
    child.terminate()
    try:
        child.wait(PARTING)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    cgroup.sweep()


def _without(experiment: Experiment, state: State, why: str, seconds: float = 0.0) -> Result:
    return Result(experiment.name, experiment.promise, experiment.question, state, seconds, why)
