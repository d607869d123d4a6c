"""Who takes turns at the threads that read, and what is never done."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from backends.llm.readers import Readers

PATIENCE = 30.0


class Held:
    """One thread, which is busy until it is let go; the jobs that it has done."""

    def __init__(self) -> None:
        self.readers: Readers[None] = Readers(1, "test")
        self.done: list[str] = []
        self._go = threading.Event()
        begun = threading.Event()

        def wait() -> None:
            begun.set()
            self._go.wait(PATIENCE)

        self.readers.submit("first", wait)
        assert begun.wait(PATIENCE)

    def ask(self, tenant: str, name: str) -> Future[None]:
        return self.readers.submit(tenant, lambda: self.done.append(name))

    def finish(self) -> list[str]:
        over = threading.Event()
        self._go.set()
        self.readers.submit("zz", lambda: None).add_done_callback(lambda _: over.set())
        assert over.wait(PATIENCE)
        return self.done


@pytest.fixture
def held() -> Iterator[Held]:
    found = Held()
    yield found
    found.readers.close()


def test_tenants_take_turns_and_each_one_s_jobs_keep_their_order(held: Held) -> None:
    jobs = [held.ask("a", f"a{n}") for n in range(4)]
    jobs += [held.ask(tenant, f"{tenant}{n}") for n in range(2) for tenant in "bc"]
    held.finish()
    for each in jobs:
        each.result(PATIENCE)
    assert held.done == ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "a3"]


def test_what_is_cancelled_takes_no_turn_and_no_memory(held: Held) -> None:
    jobs = [held.ask("a", f"a{n}") for n in range(3)]
    last = held.ask("b", "b0")
    for each in jobs:
        assert each.cancel()
    assert list(held.readers._waiting) == ["b"]
    held.finish()
    last.result(PATIENCE)
    assert held.done == ["b0"]


def test_what_fails_fails_alone(held: Held) -> None:
    def fail() -> None:
        raise ValueError("no")

    failed = held.readers.submit("a", fail)
    after = held.ask("a", "a1")
    held.finish()
    with pytest.raises(ValueError, match="no"):
        failed.result(PATIENCE)
    after.result(PATIENCE)
    assert held.done == ["a1"]
