"""What is read of a request's head."""

import pytest

from gateway.http.head import Head
from policies.authenticate import SEVERAL
from protos.errors import PenstockError


def credential(*headers: tuple[bytes, bytes]) -> bytes:
    return Head.of({"headers": [(b"host", b"h"), *headers]}).authorization


TOKEN, KEY = (b"authorization", b"Bearer a"), (b"x-api-key", b"pk_a")


def test_a_credential_comes_in_either_header() -> None:
    assert credential(TOKEN) == b"Bearer a"
    assert credential(KEY) == b"Bearer pk_a"
    assert credential() == b""


@pytest.mark.parametrize(
    "headers", [(TOKEN, TOKEN), (TOKEN, KEY), (KEY, KEY), ((b"authorization", b""), TOKEN)]
)
def test_of_two_credentials_none_counts(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    assert credential(*headers) == SEVERAL


LENGTH = b"inference-header-content-length"


@pytest.mark.parametrize(
    ("lengths", "sentence"),
    [
        ([b""], "must be a number of bytes"),
        ([b"-5"], "must be a number of bytes"),
        ([b"+5"], "must be a number of bytes"),
        ([b"5, 5"], "must be a number of bytes"),
        ([b"9" * 19], "must be a number of bytes"),
        ([b"\xb2"], "must be a number of bytes"),
        ([b"11"], "is 11, the body has 10 bytes"),
        ([b"5", b"5"], "is there twice"),
        ([b"5", b"7"], "is there twice"),
    ],
)
def test_the_length_of_the_json_is_one_number(lengths: list[bytes], sentence: str) -> None:
    head = Head.of({"headers": [(LENGTH, length) for length in lengths]})
    with pytest.raises(PenstockError, match=f"Inference-Header-Content-Length: {sentence}"):
        head.json_bytes(10)
