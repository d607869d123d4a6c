"""Records as people ask for them: by time, tenant, decision and kind, and as they come."""

from pathlib import Path

import pytest

from gateway.audit.read import Follower, Wanted, records
from tests.gateway.audit.written_log import Wall, chain


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    wall = Wall()
    first = chain(tmp_path, wall)
    second = chain(tmp_path, wall, role="worker-1")
    for at in range(10):
        written = (first, second)[at % 2]
        tenant = "acme" if at < 6 else "zeta"
        decision = "refused" if at % 3 == 0 else "allowed"
        facts = {"what": "request", "tenant": tenant, "decision": decision}
        written.append([{"at": 1000.0 + at, **facts}])
    first.append([{"at": 1020.0, "what": "key.create"}, {"at": 1021.0, "what": "keys"}])
    first.close()
    second.close()
    return tmp_path


def times(folder: Path, **wanted: object) -> list[int]:
    found = records(folder, Wanted(**{"until": 2000.0, **wanted}))  # type: ignore[arg-type]
    return [round(each["at"]) - 1000 for each in found]


def test_records_of_all_chains_come_in_the_order_of_time(folder: Path):
    assert times(folder) == [*range(10), 20, 21]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"since": 1003.0, "until": 1006.0}, [3, 4, 5]),
        ({"tenant": "zeta"}, [6, 7, 8, 9]),
        ({"decision": "refused"}, [0, 3, 6, 9]),
        ({"what": "key"}, [20]),
        ({"what": "key.create"}, [20]),
        ({"tenant": "zeta", "decision": "refused"}, [6, 9]),
    ],
)
def test_what_is_asked_for_is_found(folder: Path, wanted: dict[str, object], found: list[int]):
    assert times(folder, **wanted) == found


def test_each_says_where_it_stands(folder: Path):
    for record in records(folder, Wanted()):
        line = (folder / record["file"]).read_text().splitlines()[record["line"] - 1]
        assert line.startswith(f'{{"n":{record["n"]},')


def test_what_is_no_record_is_passed_over(folder: Path):
    path = sorted(folder.iterdir())[0]
    path.write_bytes(b"nonsense\n" + path.read_bytes() + b'{"half')
    assert times(folder) == [*range(10), 20, 21]


def test_a_follower_sees_what_is_written_from_now_on_whole_and_once(folder: Path):
    wall = Wall(2e9)
    written = chain(folder, wall)
    written.open()
    follower = Follower(folder, Wanted(what="request"))
    assert follower.look() == []
    written.append([{"at": 1.0, "what": "request", "i": 1}])
    with written.path.open("ab") as file:
        file.write(b'{"n":')
    assert [each["i"] for each in follower.look()] == [1]
    assert follower.look() == []
    later = chain(folder, wall, role="gateway")
    later.append([{"at": 2.0, "what": "request", "i": 2}])
    assert [each["i"] for each in follower.look()] == [2]
    written.close()
    later.close()
