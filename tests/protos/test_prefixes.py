"""A prompt's beginnings are named alike at both ends, and a filter of names is small."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.arrays import join_bytes
from protos.prefixes import (
    MOST,
    MOST_BYTES,
    MOST_NAMES,
    NEAREST,
    NONE,
    Filter,
    Prefixes,
    prefixes_of,
    salt_of,
)
from protos.values import Chat, Embedding, Prompt, Tensor, Tensors


def chat(*contents, **more):
    roles = ("user", "assistant")
    messages = [{"role": roles[at % 2], "content": each} for at, each in enumerate(contents)]
    return Chat({"messages": messages, **more})


def names(payload, tenant="t", model="m"):
    return list(prefixes_of(payload, tenant, model).names)


def shared(one, other):
    """How many beginnings two lists of names have in common, from the first on."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))


@given(st.lists(st.text(max_size=900), min_size=1, max_size=6), st.text(max_size=900))
def test_a_longer_conversation_begins_with_all_names_of_a_shorter_one(turns, another):
    before = names(chat(*turns))
    assert names(chat(*turns, another))[: len(before)] == before


@given(st.lists(st.text(max_size=20_000), min_size=1, max_size=5))
def test_beginnings_grow_end_within_the_text_and_are_few(turns):
    found = prefixes_of(chat(*turns), "t", "m")
    ends = list(found.ends)
    assert ends == sorted(set(ends))
    assert not ends or (ends[0] >= NEAREST and ends[-1] <= min(MOST, found.length))
    assert len(ends) <= 24 + 4 * len(turns)


def test_two_texts_share_names_up_to_where_they_part():
    one, other = (names(Prompt({"prompt": "x" * 1000 + end * 1000})) for end in "ab")
    assert shared(one, other) == 3  # 256, 512 and 768 bytes


def test_messages_end_at_places_of_their_own():
    system = "You are a helpful lawyer."
    one = prefixes_of(chat(system, "What is a tort?"), "t", "m")
    other = prefixes_of(chat(system, "May I park here, please?"), "t", "m")
    assert one.ends[0] == len(f"user\0{system}\0")
    assert shared(one.names, other.names) == 1


def test_the_first_name_differs_with_tenant_model_and_what_stands_before_the_messages():
    first = {
        prefixes_of(payload, tenant, model).names[0]
        for payload in (chat("x" * 99), chat("x" * 99, tools=[{"type": "function"}]))
        for tenant in ("t", "u")
        for model in ("m", "m:adapter")
    }
    assert len(first) == 8


def test_a_prompt_has_the_same_names_in_a_tensor_a_string_and_a_list_of_one():
    text = "The water rises. " * 40
    tensor = Tensor("text_input", "BYTES", (1,), join_bytes([text.encode()]))
    found = names(Prompt({"prompt": text}))
    assert found
    assert names(Prompt({"prompt": [text]})) == names(Tensors((tensor,))) == found


def test_parts_of_messages_and_tool_calls_count_whatever_their_keys_order():
    parts = [{"type": "text", "text": "a" * 50}]
    one = Chat({"messages": [{"role": "user", "content": parts, "name": "n"}]})
    other = Chat({"messages": [{"name": "n", "content": parts, "role": "user"}]})
    assert names(one) == names(other) != []


def test_what_has_no_single_text_has_no_names():
    for payload in (
        Prompt({"prompt": [1, 2, 3]}),
        Prompt({"prompt": ["one prompt of many", "another prompt"]}),
        Prompt({"prompt": "short"}),
        Embedding({"input": "x" * 100}),
        Tensors(()),
        Chat({}),
    ):
        assert prefixes_of(payload, "t", "m") == NONE


def test_beginnings_reach_up_to_the_first_that_is_not_kept():
    found = prefixes_of(Prompt({"prompt": "x" * 1100}), "t", "m")
    kept = {found.names[0], found.names[1], found.names[3]}
    assert found.reach(kept.__contains__) == found.ends[1]
    assert found.reach(lambda name: False) == 0
    told = Filter.of(sorted(kept), 0)
    assert told.reach(found, set()) == found.ends[1]
    assert told.reach(found, {found.names[2]}) == found.ends[3]
    assert Filter(b"", 0).reach(found, set(found.names[:1])) == found.ends[0]


def has(kept, name):
    return kept.reach(Prefixes(1, (1,), (name,)), set()) == 1


def test_a_filter_has_what_was_put_in_and_little_else():
    rng = random.Random(5)
    for count, most_wrong in ((100, 0.08), (2048, 0.08), (MOST_NAMES, 0.2)):
        put = [rng.getrandbits(64) for _ in range(count)]
        kept = Filter.of(put, salt_of("key"))
        assert len(kept.bits) <= MOST_BYTES
        assert all(has(kept, name) for name in put)
        assert sum(has(kept, rng.getrandbits(64)) for _ in range(5000)) < most_wrong * 5000


def test_few_names_make_a_small_filter_and_none_an_empty_one():
    assert len(Filter.of([1, 2, 3], 0).bits) == 64
    assert Filter.of([], 0).bits == b""
    assert not has(Filter(b"", 0), 1)


def test_a_filter_says_nothing_without_its_instances_key():
    rng = random.Random(6)
    put = [rng.getrandbits(64) for _ in range(500)]
    bits = Filter.of(put, salt_of("one key")).bits
    assert sum(has(Filter(bits, salt_of("another")), name) for name in put) < 100


@pytest.mark.parametrize("letter", ["a", "ä"])
def test_only_what_has_names_of_a_long_prompt_is_looked_at(letter):
    short, long = (prefixes_of(Prompt({"prompt": letter * n}), "t", "m") for n in (MOST, 4 * MOST))
    assert list(long.ends) == list(short.ends)
    assert list(long.names) == list(short.names)
    assert long.length == 4 * MOST


def test_messages_after_the_last_name_are_not_looked_at():
    told = [{"role": "user", "content": "a" * MOST}]
    chats = [Chat({"messages": told}, 70_000), Chat({"messages": [*told, *told]}, 140_000)]
    first, second = (prefixes_of(each, "t", "m") for each in chats)
    assert list(first.names) == list(second.names)
    assert second.length == 140_000
