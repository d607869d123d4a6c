"""What ranks say to each other arrives whole."""

import threading
from collections.abc import Callable
from typing import TypeVar

import pytest
import torch

from backends.llm.parallel.group import FIRST, Group

CPU = torch.device("cpu")
Result = TypeVar("Result")


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> list[Group]:
    meeting = tmp_path_factory.mktemp("group") / "meeting"
    return at_once([lambda rank=rank: Group.join(meeting, rank, 2, CPU) for rank in range(2)])


def at_once(calls: list[Callable[[], Result]]) -> list[Result]:
    """What each says, all of them called at the same time."""
    found: dict[int, Result] = {}

    def call(at: int) -> None:
        found[at] = calls[at]()

    threads = [threading.Thread(target=call, args=(at,)) for at in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[at] for at in range(len(calls))]


@pytest.mark.parametrize("count", [0, 1, FIRST - 1, FIRST, 3 * FIRST])
def test_numbers_are_heard_as_they_were_told(groups: list[Group], count: int) -> None:
    numbers = list(range(count))
    _, heard = at_once([lambda: groups[0].tell(numbers), groups[1].hear])
    assert heard == numbers


def test_sums_and_largest_are_known_to_all(groups: list[Group]) -> None:
    ones = [torch.tensor([1.0, 5.0]), torch.tensor([2.0, 3.0])]
    sums = at_once([lambda at=at: groups[at].sum(ones[at].clone()) for at in range(2)])
    assert [each.tolist() for each in sums] == [[3.0, 8.0]] * 2
    most = at_once([lambda at=at: groups[at].largest(ones[at].clone()) for at in range(2)])
    assert [each.tolist() for each in most] == [[2.0, 5.0]] * 2


def test_parts_are_put_side_by_side_for_the_first(groups: list[Group]) -> None:
    parts = [torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]])]
    whole, own = at_once([lambda at=at: groups[at].gather(parts[at]) for at in range(2)])
    assert whole.tolist() == [[1.0, 2.0, 3.0, 4.0]]
    assert own.tolist() == parts[1].tolist()
    none = torch.empty(0, 2)
    assert at_once([lambda at=at: groups[at].gather(none) for at in range(2)])[0].shape == (0, 4)
