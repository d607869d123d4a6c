"""S3-FIFO in bytes: never over its budget, and hard to flood."""

from hypothesis import given, settings
from hypothesis import strategies as st

from policies.cache.s3fifo import MOST_SPARED, OVERHEAD, S3Fifo

FOREVER = 1e9
ROOM = OVERHEAD + 100  # what an entry of 100 bytes takes


def name(number):
    return b"%032d" % number


def test_what_is_kept_is_found_until_it_expires():
    entries = S3Fifo(1 << 20)
    assert entries.keep(b"a", b"answer", 10.0)
    assert entries.find(b"a", 9.9) == b"answer"
    assert entries.find(b"b", 9.9) is None
    assert entries.find(b"a", 10.0) is None
    assert (len(entries), entries.bytes) == (0, 0)


def test_a_new_entry_takes_the_place_of_the_one_of_its_name():
    entries = S3Fifo(1 << 20)
    entries.keep(b"a", b"x" * 1000, FOREVER)
    entries.keep(b"a", b"y", FOREVER)
    assert entries.find(b"a", 0.0) == b"y"
    assert (len(entries), entries.bytes) == (1, OVERHEAD + 1)


def test_what_does_not_fit_at_all_is_not_kept_and_pushes_nothing_out():
    entries = S3Fifo(10 * ROOM)
    entries.keep(b"a", bytes(100), FOREVER)
    assert not entries.keep(b"b", bytes(11 * ROOM), FOREVER)
    assert b"a" in entries
    assert b"b" not in entries


def test_what_is_asked_for_often_survives_any_number_that_are_asked_for_once():
    entries = S3Fifo(100 * ROOM)
    popular = [name(number) for number in range(50)]
    for key in popular:
        entries.keep(key, bytes(100), FOREVER)
    for _ in range(3):
        for key in popular:
            entries.find(key, 0.0)
    for number in range(1000, 6_000):
        entries.keep(name(number), bytes(100), FOREVER)
    assert all(entries.find(key, 0.0) for key in popular)
    assert entries.evictions >= 4_900


def test_what_comes_back_soon_after_it_left_goes_to_the_main_queue():
    entries = S3Fifo(20 * ROOM)
    for number in range(30):
        entries.keep(name(number), bytes(100), FOREVER)
    assert name(5) not in entries
    entries.keep(name(5), bytes(100), FOREVER)
    for number in range(100, 200):
        entries.keep(name(number), bytes(100), FOREVER)
    assert name(5) in entries


def test_making_room_spares_few_however_often_all_were_asked_for():
    entries = S3Fifo(100 * ROOM)
    for number in range(100):
        entries.keep(name(number), bytes(100), FOREVER)
        for _ in range(6):
            entries.find(name(number), 0.0)
    entries.keep(b"new", bytes(100), FOREVER)
    assert b"new" in entries
    assert name(MOST_SPARED) not in entries  # the first that wasn't
    assert all(name(number) in entries for number in range(100) if number != MOST_SPARED)


def test_clearing_leaves_nothing():
    entries = S3Fifo(5 * ROOM)
    for number in range(20):
        entries.keep(name(number), bytes(100), FOREVER)
    entries.clear()
    assert (len(entries), entries.bytes) == (0, 0)
    entries.keep(b"a", b"x", FOREVER)
    assert entries.find(b"a", 0.0) == b"x"


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(("keep", "keep", "find", "find", "forget")),
        st.integers(0, 20),
        st.integers(0, 3000),
        st.floats(0.0, 5.0),
    ),
    max_size=200,
)


@settings(max_examples=50, deadline=None)
@given(ACTIONS, st.integers(OVERHEAD, 20_000))
def test_it_is_never_over_its_budget_and_never_gives_what_was_not_kept(actions, budget):
    entries, kept, now = S3Fifo(budget), {}, 0.0
    for action, number, size, time in actions:
        key = name(number)
        now += time / 10.0
        if action == "keep":
            data = bytes([number]) * size
            assert entries.keep(key, data, now + time) == (size + OVERHEAD <= budget)
            kept[key] = (data, now + time)
        elif action == "find":
            found = entries.find(key, now)
            data, expires = kept.get(key, (None, 0.0))
            assert found is None or (found == data and now < expires)
        else:
            entries.forget(key)
            assert key not in entries
        sizes = [
            len(e.data) + OVERHEAD for q in (entries._small, entries._main) for e in q.values()
        ]
        assert entries.bytes == sum(sizes) <= budget
        assert len(entries._gone) <= max(1, len(entries) + 1)
