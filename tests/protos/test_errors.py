"""Errors as values that may be raised by many."""

import pickle

from protos.errors import Kind, PenstockError


def test_a_copy_says_all_that_the_error_does():
    error = PenstockError(Kind.INVALID, "no", retry_after=2.0, param="n", code="too_many")
    for other in (error.copy(), pickle.loads(pickle.dumps(error))):
        assert other is not error
        assert vars(other) == vars(error)
