"""Errors as values that may be raised by many."""

import pickle

import pytest

from protos.errors import RETRY_AFTER, TABLE, Kind, PenstockError


def test_a_copy_says_all_that_the_error_does():
    error = PenstockError(Kind.INVALID, "no", retry_after=2.0, param="n", code="too_many")
    for other in (error.copy(), pickle.loads(pickle.dumps(error))):
        assert other is not error
        assert vars(other) == vars(error)


@pytest.mark.parametrize("kind", [kind for kind, row in TABLE.items() if row.http == 503])
def test_every_503_says_when_to_ask_again(kind):
    assert PenstockError(kind, "not now").retry_after == RETRY_AFTER
    assert PenstockError(kind, "not now", retry_after=7.0).retry_after == 7.0
