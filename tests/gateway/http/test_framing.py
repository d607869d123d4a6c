from contextlib import nullcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.http.framing import CHUNKED, Framing, check_size, framing
from protos.errors import PenstockError

HOST = (b"host", b"models.example:8000")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], Framing(0, False, False)),
        ([(b"content-length", b"12")], Framing(12, False, False)),
        ([(b"transfer-encoding", b"Chunked")], Framing(CHUNKED, False, False)),
        ([(b"expect", b"100-Continue")], Framing(0, True, False)),
        ([(b"upgrade", b"h2c")], Framing(0, False, True)),
    ],
)
def test_a_head_says_how_its_body_is_framed(
    fields: list[tuple[bytes, bytes]], expected: Framing
) -> None:
    assert framing(b"POST", "1.1", [HOST, *fields]) == expected


def test_http_1_0_expects_no_continue() -> None:
    assert not framing(b"POST", "1.0", [(b"expect", b"100-continue")]).expects_continue


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=40))
def test_a_host_is_served_only_if_it_can_be_one(host: bytes) -> None:
    odd = any(byte in b'/@?#\\"<>^`{|} \t' or byte <= 32 or byte >= 127 for byte in host)
    with pytest.raises(PenstockError) if odd else nullcontext():
        framing(b"GET", "1.1", [(b"host", host)])


def test_the_size_of_a_head_is_that_of_its_bytes() -> None:
    headers = [(b"host", b"a"), (b"x", b"y")]
    size = len(b"/path" + b"host: a\r\n" + b"x: y\r\n")
    check_size(headers, b"/path", size)
    with pytest.raises(PenstockError, match=f"more than {size - 1} bytes"):
        check_size(headers, b"/path", size - 1)
