"""What is read of a request's head."""

import pytest

from gateway.http.head import Head
from policies.authenticate import SEVERAL


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
