"""The strict reading of JSON: what is refused, with a sentence, and that parsers survive it."""

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos import json_reader
from protos.errors import Kind, PenstockError
from tests.protos.any_tensors import mutated, names, texts

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
documents = st.dictionaries(
    names,
    st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


@settings(deadline=None, max_examples=150)
@given(documents)
def test_what_json_says_is_what_is_read(document):
    body = orjson.dumps(document)
    assert json_reader.read_object(body) == json.loads(body)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "empty"),
        (b"   ", "empty"),
        (b"[1]", "must be a JSON object"),
        (b'"x"', "must be a JSON object"),
        (b'{"a":1}x', "unexpected content after document"),
        (b'{"a":1}{}', "unexpected content after document"),
        (b'{"a":1,}', "trailing comma"),
        (b'\xef\xbb\xbf{"a":1}', "byte order mark"),
        (b'{"a":"\xff"}', "not valid JSON"),
        (b'{"a":"\xed\xa0\x80"}', "not valid JSON"),
        (b'{"a":"\\ud800"}', "surrogate"),
        (b'{"a":"\\udc00"}', "surrogate"),
        (b'{"\\ud800":1}', "surrogate"),
        (b'{"a":NaN}', "not valid JSON"),
        (b'{"a":Infinity}', "not valid JSON"),
        (b'{"a":-Infinity}', "not valid JSON"),
        (b'{"a":1e400}', "infinity"),
        (b'{"a":01}', "leading zero"),
        (b'{"a":18446744073709551616}', "64 bits"),
        (b'{"a":-9223372036854775809}', "64 bits"),
        (b'{"a":' + b"9" * 4300 + b"}", "infinity"),
        (b'{"a":1,"b":2,"a":3}', 'the key "a" is there twice'),
        (b'{"a":[{"b":{"c":1,"c":1}}]}', 'a[0].b: the key "c" is there twice'),
        (b'{"a":1,"\\u0061":2}', 'the key "a" is there twice'),
        (b'{"a\\u0000b":1}', "NUL"),
        (b'{"a":' + b"[" * 64 + b"]" * 64 + b"}", "deeper than 64"),
        (b'{"a":' * 64 + b"[]" + b"}" * 64, "deeper than 64"),
        (b"[" * 5000 + b"]" * 5000, "depth limit"),
        (b'{"' + b'":1,"'.join(b"%d" % i for i in range(300)) + b'":1}', "300 keys"),
    ],
)
def test_bad_json_is_refused_with_the_reason(body, why):
    with pytest.raises(PenstockError) as caught:
        json_reader.read_object(body)
    assert caught.value.kind is Kind.INVALID
    assert why in caught.value.message


def test_the_limits_of_64_bits_are_read_exactly():
    body = b'{"most":18446744073709551615,"least":-9223372036854775808}'
    assert json_reader.read_object(body) == {"most": 2**64 - 1, "least": -(2**63)}


def test_64_levels_may_be_nested():
    assert json_reader.read_object(b'{"a":' + b"[" * 63 + b"]" * 63 + b"}")


def test_an_unknown_key_is_refused_with_the_likely_one():
    found = json_reader.parse_object(b'{"input":[]}')
    with pytest.raises(PenstockError, match='no field "input"; did you mean "inputs"'):
        json_reader.fields(found, "", frozenset(("id", "inputs")))


def test_a_body_that_simdjson_could_miscount_is_too_large():
    with pytest.raises(PenstockError) as caught:
        json_reader.parse(b"[" + b" " * json_reader.MAX_BODY)
    assert caught.value.kind is Kind.TOO_LARGE


def test_an_error_that_is_still_held_does_not_stop_the_next_reading():
    held = []
    for _ in range(3):
        document = json_reader.parse_object(b'{"a":[1],"a":2}')
        try:
            json_reader.fields(document, "")
        except PenstockError as error:
            held.append((document, error))
        assert json_reader.read_object(b'{"b":[2]}') == {"b": [2]}
    assert [list(document["a"]) for document, _ in held] == [[1]] * 3


@settings(deadline=None, max_examples=300)
@given(documents.flatmap(lambda document: mutated(orjson.dumps(document))) | st.binary(max_size=30))
def test_no_bytes_end_in_another_error(body):
    try:
        found = json_reader.read_object(body)
    except PenstockError as error:
        assert error.message.isprintable()  # noqa: PT017
    else:
        assert found == json.loads(body)
