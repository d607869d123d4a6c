"""A tensor's parameters: what is not understood is never lost in silence."""

import pytest

from protos.errors import Kind
from protos.tensor_parameters import refusal


@pytest.mark.parametrize(
    ("key", "kind", "why"),
    [
        ("shared_memory_region", Kind.UNIMPLEMENTED, "shared memory is not offered"),
        ("classification", Kind.UNIMPLEMENTED, "classification is not offered"),
        ("binary_dat", Kind.INVALID, 'did you mean "binary_data"?'),
        ("zzz", Kind.INVALID, 'there is no parameter "zzz"; known are binary_data'),
    ],
)
def test_a_refusal_says_why(key, kind, why):
    error = refusal(key, 'outputs[0] "y"', ("binary_data",))
    assert error.kind is kind
    assert error.message.startswith('outputs[0] "y": ')
    assert why in error.message
