"""Blocks are conserved, counted, and found again by what is in them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.llm.blocks import NULL, BlockPool, block_key, salt

ACTIONS = ["take", "share", "publish", "release"]


def keys_of(*blocks: list[int], before: bytes = b"") -> list[bytes]:
    keys = []
    for tokens in blocks:
        before = block_key(before, tokens)
        keys.append(before)
    return keys


def test_the_block_that_padding_reads_is_never_given_out() -> None:
    taken = BlockPool(4, 2).take(4)
    assert taken is not None
    assert NULL not in taken
    assert len(set(taken)) == 4


def test_more_than_there_are_is_none_and_takes_nothing() -> None:
    pool = BlockPool(4, 2)
    assert pool.take(5) is None
    assert pool.free == 4


def test_a_published_prefix_is_found_as_far_as_it_goes() -> None:
    pool = BlockPool(4, 2)
    blocks = pool.take(2)
    keys = keys_of([1, 2], [3, 4], [5, 6])
    assert blocks is not None
    for block, key in zip(blocks, keys, strict=False):
        pool.publish(block, key)
    assert pool.match(keys) == blocks
    assert pool.match(keys_of([1, 2], [9, 9])) == blocks[:1]
    assert pool.match(keys_of([3, 4])) == []


def test_other_tenants_prefixes_are_not_found() -> None:
    first, second = (keys_of([1, 2], before=salt(tenant, "")) for tenant in ("a", "b"))
    assert first != second
    assert salt("ab", "c") != salt("a", "bc")


def test_what_nobody_uses_stays_until_the_room_is_needed_the_longest_unused_goes_first() -> None:
    pool = BlockPool(3, 1)
    keys = keys_of([1]) + keys_of([2]) + keys_of([3])
    blocks = pool.take(3)
    assert blocks is not None
    for block, key in zip(blocks, keys, strict=True):
        pool.publish(block, key)
        pool.release([block])
    assert pool.free == 3
    pool.hold(pool.match(keys[:1]))
    pool.release(blocks[:1])  # used last
    assert pool.take(1) == blocks[1:2]
    assert pool.match(keys[1:2]) == []
    assert pool.match(keys[:1]) == blocks[:1]


def test_the_end_of_a_prefix_is_forgotten_before_its_beginning() -> None:
    pool = BlockPool(2, 1)
    blocks = pool.take(2)
    keys = keys_of([1], [2])
    assert blocks is not None
    for block, key in zip(blocks, keys, strict=True):
        pool.publish(block, key)
    pool.release(blocks)
    pool.take(1)
    assert pool.match(keys) == blocks[:1]


def test_blocks_with_nothing_worth_keeping_are_taken_first() -> None:
    pool = BlockPool(2, 1)
    kept, empty = pool.take(1), pool.take(1)
    assert kept is not None
    assert empty is not None
    pool.publish(kept[0], keys_of([1])[0])
    pool.release(kept)
    pool.release(empty)
    assert pool.take(1) == empty


def test_what_is_forgotten_is_found_no_more_though_it_is_used() -> None:
    pool = BlockPool(2, 1)
    blocks = pool.take(1)
    keys = keys_of([1])
    assert blocks is not None
    pool.publish(blocks[0], keys[0])
    pool.forget(blocks)
    assert pool.match(keys) == []
    assert pool.free == 1
    pool.release(blocks)
    assert pool.free == 2


def test_what_is_released_too_often_is_an_error() -> None:
    pool = BlockPool(2, 1)
    blocks = pool.take(1)
    assert blocks is not None
    pool.release(blocks)
    with pytest.raises(ValueError, match="more often"):
        pool.release(blocks)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from(["take", "share", "publish", "release"]), st.integers(0, 9)))
)
def test_blocks_are_conserved_whatever_happens(actions: list[tuple[str, int]]) -> None:
    pool = BlockPool(8, 2)
    held: list[list[int]] = []
    keys = keys_of(*([n, n] for n in range(10)))
    for what, number in actions:
        if what == "take" and (taken := pool.take(number % 4)):
            held.append(taken)
        elif what == "share" and (found := pool.match(keys[:number])):
            pool.hold(found)
            held.append(found)
        elif what == "publish" and held:
            for block, key in zip(held[number % len(held)], keys, strict=False):
                pool.publish(block, key)
        elif what == "release" and held:
            pool.release(held.pop(number % len(held)))
        used = {block for blocks in held for block in blocks}
        assert pool.free == 8 - len(used)
        assert pool.use == len(used) / 8
    for blocks in held:
        pool.release(blocks)
    assert pool.free == 8
    rest = pool.take(8)
    assert rest is not None
    assert sorted(rest) == list(range(1, 9))
