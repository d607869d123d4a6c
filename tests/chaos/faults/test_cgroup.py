"""Caps by control groups, where this machine has them."""

import subprocess
import sys

import pytest

from chaos.faults import cgroup

MIB = 1024 * 1024
EATS = "input(); held = [b'x' * (1 << 20) for _ in range(400)]; print('eaten', flush=True)"
RESTS = "input()"


def child(code: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)


@pytest.mark.skipif(not cgroup.has("memory"), reason="needs control groups with memory")
def test_who_eats_more_than_its_memory_is_killed():
    with child(EATS) as eats:
        with cgroup.memory(eats.pid, 100 * MIB):
            eats.communicate(b"\n", timeout=60.0)
        assert eats.returncode == -9


@pytest.mark.skipif(not cgroup.has("cpu"), reason="needs control groups with cpu")
def test_a_process_leaves_its_group_before_that_goes():
    with child(RESTS) as rests:
        with cgroup.processor(rests.pid, 0.2):
            pass
        with cgroup.processor(rests.pid, 0.5):
            pass
        rests.communicate(b"\n", timeout=60.0)
        assert rests.returncode == 0


@pytest.mark.skipif(not cgroup.has("cpu"), reason="needs control groups with cpu")
def test_a_process_goes_back_to_the_group_that_it_came_from():
    with child(RESTS) as rests, cgroup._group("cpu", "home") as home:
        with cgroup._within(home, rests.pid, home.parent):
            with cgroup.processor(rests.pid, 0.2):
                assert str(rests.pid) not in (home / "cgroup.procs").read_text().split()
            assert str(rests.pid) in (home / "cgroup.procs").read_text().split()
        rests.communicate(b"\n", timeout=60.0)


@pytest.mark.skipif(not cgroup.has("cpu"), reason="needs control groups with cpu")
def test_groups_of_the_dead_are_removed_and_those_of_the_living_stay():
    begun = "from chaos.faults import cgroup; group = cgroup._group('cpu', 'x'); group.__enter__()"
    killed = f"{begun}; import os; print(os.getpid(), flush=True); os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", killed], stdout=subprocess.PIPE, check=False)
    with cgroup._group("cpu", "mine") as mine:
        left = mine.with_name(f"penstock-chaos-{int(done.stdout)}-x")
        cgroup.sweep()
        assert not left.exists()
        assert mine.exists()
