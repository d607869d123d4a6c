from typing import Any

import pytest

from gateway.http.scope import alternative_names, http_scope, target
from protos.errors import PenstockError


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (b"/a/b?x=1&y", (b"/a/b", b"x=1&y", b"")),
        (b"/", (b"/", b"", b"")),
        (b"//a?b?c", (b"//a", b"b?c", b"")),
        (b"*", (b"*", b"", b"")),
        (b"http://host:80/a?x", (b"/a", b"x", b"host:80")),
        (b"http://host", (b"/", b"", b"host")),
        (b"HTTPS://[::1]:8?x", (b"/", b"x", b"[::1]:8")),
    ],
)
def test_a_target_is_a_path_a_query_and_an_authority(
    url: bytes, expected: tuple[bytes, bytes, bytes]
) -> None:
    assert target(url) == expected


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (b"/a#b", "no fragment"),
        (b"a:80", "neither a path nor a URL"),
        (b"v2", "neither a path nor a URL"),
        (b"http:///v2", "neither a path nor a URL"),
        (b"http://a:99999/v2", "neither a path nor a URL"),
        (b"mailto:ann@a", "neither a path nor a URL"),
        (b"ftp://a/v2", "scheme is neither http nor https"),
        (b"http://a@b/v2", "names a user"),
    ],
)
def test_other_targets_are_refused_by_what_is_wrong(url: bytes, sentence: str) -> None:
    with pytest.raises(PenstockError, match=sentence):
        target(url)


def scope_of(url: bytes, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    connection = {"type": "http"}
    found = http_scope(
        version="1.1", method=b"GET", url=url, headers=list(headers), connection=connection
    )
    return dict(found)


def test_the_authority_of_a_target_counts_for_the_host() -> None:
    sent = ((b"host", b"a"), (b"x", b"y"))
    assert scope_of(b"http://b:80/v2", *sent)["headers"] == [(b"x", b"y"), (b"host", b"b:80")]
    assert scope_of(b"/v2", *sent)["headers"] == list(sent)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (b"/%", "two hexadecimal digits"),
        (b"/%4", "two hexadecimal digits"),
        (b"/%zz/a", "two hexadecimal digits"),
        (b"/%\xc2\xb2", "two hexadecimal digits"),
        (b"/%ff", "UTF-8"),
        (b"/%c0%af", "UTF-8"),  # a slash in more bytes than it takes
        (b"/%ed%a0%80", "UTF-8"),  # half a surrogate pair
        (b"/a%00b", "control characters"),
        (b"/a%0d%0ab", "control characters"),
        (b"/a%7f", "control characters"),
    ],
)
def test_a_path_that_could_be_read_in_two_ways_is_refused(url: bytes, sentence: str) -> None:
    with pytest.raises(PenstockError, match=sentence):
        scope_of(url)


def test_a_path_is_decoded_once() -> None:
    scope = scope_of(b"/a%252Fb%20c")
    assert (scope["path"], scope["raw_path"]) == ("/a%2Fb c", b"/a%252Fb%20c")
    assert (scope["type"], scope["method"], scope["query_string"]) == ("http", "GET", b"")


def test_names_are_those_of_the_certificate() -> None:
    tls = {"client_cert_name": "CN=a", "client_cert_alternative_names": ("DNS:a.example",)}
    assert alternative_names({"extensions": {"tls": tls}}) == ("DNS:a.example",)
    for scope in ({}, {"extensions": None}, {"extensions": {}}, {"extensions": {"tls": {}}}):
        assert alternative_names(scope) == ()
