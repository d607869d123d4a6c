import json

import pytest

from policies.pii.leaves import is_json, redact_leaves
from policies.pii.steps import Steps, at_once


def shout(value: str, key: str) -> Steps[str]:
    yield from ()
    return f"{key}:{value}".upper() if value in ("bob", "536904399") else value


def quoted(value: str, key: str) -> Steps[str]:
    yield from ()
    return f'"{value}"'


def test_strings_keys_and_long_numbers_are_passed_with_their_key() -> None:
    text = '{"who": "bob", "n": [1, 536904399, 2.5], "bob": {"x": "y"}}'
    assert json.loads(at_once(redact_leaves(text, shout))) == {
        "who": "WHO:BOB",
        "n": [1, "N:536904399", 2.5],
        ":BOB": {"x": "y"},
    }


@pytest.mark.parametrize(
    ("written", "after"),
    [
        ("-536904399", "-N:536904399"),
        ("536904399.0", "N:536904399"),
        ("5.36904399e8", "N:536904399"),
        ("-5.36904399E+8", "-N:536904399"),
        ("536904399.5", 536904399.5),
        ("1e400", float("inf")),
        ("1e-99999999999999999999", 0.0),
        ("-12345", -12345),
    ],
)
def test_numbers_are_known_however_they_are_written(written: str, after: object) -> None:
    assert json.loads(at_once(redact_leaves(f'{{"n": {written}}}', shout))) == {"n": after}


def test_what_does_not_change_is_left_as_it_is_written() -> None:
    text = ' {"a" :\t"\\u0041\\n",  "b": [ 1e5 ] } '
    assert at_once(redact_leaves(text, shout)) == text


def test_escapes_are_read_before_and_written_after() -> None:
    assert at_once(redact_leaves('["\\u0062ob"]', quoted)) == '["\\"bob\\""]'


@pytest.mark.parametrize("text", ["{", "bob", '"bob"', "12", "[1,]", "[" * 100_000])
def test_only_objects_and_arrays_are_json(text: str) -> None:
    assert not is_json(text)


def test_halves_of_surrogate_pairs_stay_escaped() -> None:
    written = at_once(redact_leaves(r'["\ud800 bob", "ä bob"]', quoted))
    assert written.encode()
    assert json.loads(written) == ['"\ud800 bob"', '"ä bob"']
    assert "ä" in written
