"""How chains follow each other, and that none can be taken out."""

from pathlib import Path

import pytest

from gateway.audit.files import end_of, role_of, segments
from gateway.audit.links import followed, loose_ends
from gateway.audit.seal import Head, Seal, seal_all
from gateway.audit.verify import verify
from tests.gateway.audit.written_log import KEYED, START, Wall, chain, write


def test_each_start_begins_a_chain_that_says_where_the_former_ended(tmp_path: Path):
    wall = Wall()
    first = chain(tmp_path, wall)
    write(first, 4)
    first.close()
    other = chain(tmp_path, wall, role="gateway")
    other.open()
    second = chain(tmp_path, wall)
    second.open()
    (before,) = followed({0: second.path})
    assert before["chain"] == first.name
    assert before["closed"]
    assert before["digest"] == end_of(first.path).digest
    second.close()
    other.close()
    assert list(segments(tmp_path)) == [first.name, other.name, second.name]
    assert [role_of(each) for each in segments(tmp_path)] == ["worker-0", "gateway", "worker-0"]
    assert verify(tmp_path, KEYED).sound


def test_a_clock_that_was_set_back_breaks_no_link(tmp_path: Path):
    written = []
    for now in (START, START - 3600, START - 3500, START + 10):
        written.append(chain(tmp_path, Wall(now)))
        written[-1].open()
        written[-1].close()
    assert verify(tmp_path, KEYED).sound
    for index, each in enumerate(written[:-1]):
        (before,) = followed({0: written[index + 1].path})
        assert before["chain"] == each.name
    written[1].path.unlink()
    (finding,) = verify(tmp_path, KEYED).findings
    assert finding.message == f"the chain is missing, which the chain {written[2].name} knows"


def test_a_chain_follows_all_that_nobody_follows(tmp_path: Path):
    """As two processes that ran at the same time."""
    one, other = chain(tmp_path, Wall()), chain(tmp_path, Wall())
    one.open()
    copy = one.path.read_bytes()
    one.path.unlink()
    other.open()
    other.close()
    one.path.write_bytes(copy)
    assert {each["chain"] for each in loose_ends(tmp_path, "worker-0")} == {one.name, other.name}
    following = chain(tmp_path, Wall(START + 100))
    following.open()
    following.close()
    assert {each["chain"] for each in followed({0: following.path})} == {one.name, other.name}
    assert [each["chain"] for each in loose_ends(tmp_path, "worker-0")] == [following.name]


@pytest.mark.parametrize(
    "before",
    [5, "x", [5], [{}], [{"chain": [], "n": 0, "digest": "d"}], [{"chain": "c", "n": "1"}]],
)
def test_a_made_up_beginning_stops_neither_the_next_start_nor_the_reader(
    tmp_path: Path, before: object
):
    """Without a key anybody who can write the folder can make records that hold."""
    seal = Seal()
    name = "20260101T000000.000000Z-worker-0-00000000"
    first = {
        **{"what": "begin", "chain": name, "segment": 0, "seal": seal.name, "key": seal.mark},
        **{"previous": "\ud800", "before": before},
    }
    forget = {"what": "forget", "segments": [5, {"file": [], "digest": 1}]}
    made, _ = seal_all([first, forget, {"what": "forget", "segments": 5}], Head(), seal)
    (tmp_path / f"{name}.000000.jsonl").write_bytes(made)
    following = chain(tmp_path, Wall(), seal=seal)
    following.open()
    following.close()
    told = {each.message for each in verify(tmp_path, seal).findings}
    assert "doesn't say in a known form which chains end before it" in told
    assert "doesn't say in a known form which files were removed" in told
