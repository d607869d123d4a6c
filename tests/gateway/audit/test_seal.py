"""A line of the log: what seals it, and that nothing of it can be changed unseen."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audit.seal import START, Head, Seal, read_seal, seal_all, take_apart
from protos.errors import Kind, PenstockError

KEYED = Seal(b"sixteen bytes or more")
RECORD = {"at": 1.5, "what": "request", "tenant": "acme"}


def holds(line: bytes, before: bytes, seal: Seal) -> bool:
    taken = take_apart(line)
    return taken is not None and seal.digest(before, taken.body) == taken.digest


def test_records_are_numbered_lines_of_json():
    sealed, head = seal_all([RECORD, RECORD], Head(), Seal())
    first, second = (json.loads(line) for line in sealed.splitlines())
    assert first.items() > RECORD.items()
    assert (first["n"], second["n"], head.next) == (0, 1, 2)
    assert second["digest"].encode() == head.digest


@pytest.mark.parametrize("seal", [Seal(), KEYED], ids=["unkeyed", "keyed"])
def test_every_bit_of_a_line_is_sealed(seal: Seal):
    line, _ = seal_all([RECORD], Head(), seal)
    assert holds(line, START, seal)
    for place in range(8 * len(line)):
        changed = bytearray(line)
        changed[place // 8] ^= 1 << place % 8
        assert not holds(bytes(changed), START, seal), f"bit {place % 8} of byte {place // 8}"


def test_a_line_only_fits_behind_the_one_before_it():
    sealed, _ = seal_all([RECORD, RECORD], Head(), KEYED)
    first, second = sealed.splitlines(keepends=True)
    assert holds(second, json.loads(first)["digest"].encode(), KEYED)
    assert not holds(second, START, KEYED)
    assert not holds(second, json.loads(first)["digest"].encode(), Seal())


def test_another_key_makes_another_seal_and_shows_nothing_of_itself():
    other = Seal(b"another key of some length")
    line, _ = seal_all([RECORD], Head(), other)
    assert not holds(line, START, KEYED)
    assert KEYED.mark != other.mark
    assert "another" not in f"{other} {other.mark}"


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.text().filter(lambda k: k != "n"), anything, max_size=4)))
def test_whatever_is_written_is_read_again_and_holds(records):
    before, head = START, Head()
    for record in records:
        line, head = seal_all([record], head, KEYED)
        taken = take_apart(line)
        assert taken is not None
        assert holds(line, before, KEYED)
        assert taken.record == {"n": head.next - 1, **json.loads(json.dumps(record))}
        before = head.digest


def test_half_of_a_surrogate_pair_costs_no_record():
    line, _ = seal_all([{"subject": "\ud800"}], Head(), KEYED)
    taken = take_apart(line)
    assert taken is not None
    assert taken.record["subject"] == "\ud800"
    assert holds(line, START, KEYED)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"{}\n",
        b'{"n":0}\n',
        b'{"n":0,"digest":"' + b"0" * 63 + b'"}\n',
        b'{"n":0,"digest":"' + b"A" * 64 + b'"}\n',
        b'{"n":true,"digest":"' + b"0" * 64 + b'"}\n',
        b'["n",0,"digest":"' + b"0" * 64 + b'"}\n',
        b"[" * 10_000 + b',"digest":"' + b"0" * 64 + b'"}\n',
        b'{"n":0,"digest":"' + b"0" * 64 + b'"} \n',
    ],
)
def test_what_no_writer_wrote_is_no_line(line: bytes):
    assert take_apart(line) is None


@pytest.mark.parametrize("content", [None, b"", b"too short", b"x" * 1025])
def test_an_unusable_key_is_refused_with_the_fields_name(tmp_path: Path, content: bytes | None):
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PenstockError, match=r"audit\.keyFile is not usable: ") as caught:
        read_seal(path)
    assert caught.value.kind is Kind.INVALID


def test_without_a_key_file_lines_are_sealed_without_a_key():
    assert read_seal(None).name == "sha256"
