import pytest

from gateway.http.scope import alternative_names, http_scope, target
from protos.errors import PenstockError


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (b"/a/b?x=1&y", (b"/a/b", b"x=1&y")),
        (b"/", (b"/", b"")),
        (b"//a?b?c", (b"//a", b"b?c")),
        (b"*", (b"*", b"")),
        (b"http://host:80/a?x", (b"/a", b"x")),
        (b"http://host", (b"/", b"")),
    ],
)
def test_a_target_is_a_path_and_a_query(url: bytes, expected: tuple[bytes, bytes]) -> None:
    assert target(url) == expected


def test_a_fragment_is_refused() -> None:
    with pytest.raises(PenstockError, match="no fragment"):
        target(b"/a#b")


def test_a_path_is_decoded_once() -> None:
    scope = http_scope(
        version="1.1", method=b"GET", url=b"/a%252Fb%20c", headers=[], connection={"type": "http"}
    )
    assert (scope["path"], scope["raw_path"]) == ("/a%2Fb c", b"/a%252Fb%20c")
    assert (scope["type"], scope["method"], scope["query_string"]) == ("http", "GET", b"")


def test_names_are_those_of_the_certificate() -> None:
    tls = {"client_cert_name": "CN=a", "client_cert_alternative_names": ("DNS:a.example",)}
    assert alternative_names({"extensions": {"tls": tls}}) == ("DNS:a.example",)
    for scope in ({}, {"extensions": None}, {"extensions": {}}, {"extensions": {"tls": {}}}):
        assert alternative_names(scope) == ()
