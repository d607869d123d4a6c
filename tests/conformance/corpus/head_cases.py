"""Heads that are too large, targets, paths and methods."""

from tests.conformance.corpus.wire import Case, refused, request

_GET = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n"

TOO_LARGE = (
    refused("a header of 16 KiB", _GET + b"X: " + b"a" * 16384 + b"\r\n\r\n", "16384 bytes", 431),
    refused("a header that never ends", _GET + b"X: " + b"a" * 300_000, "16384 bytes", 431),
    refused("a header's name of 16 KiB", _GET + b"a" * 16384 + b": b\r\n\r\n", "16384 bytes", 431),
    refused("101 headers", _GET + b"X: a\r\n" * 100 + b"\r\n", "more than 100 headers", 431),
    refused("a thousand headers", _GET + b"X: a\r\n" * 1000 + b"\r\n", "more than 100", 431),
    refused(
        "a target of 16 KiB", b"GET /" + b"a" * 16384 + b" HTTP/1.1\r\nHost: a\r\n\r\n", "", 431
    ),
    refused("a target that never ends", b"GET /" + b"a" * 300_000, "16384 bytes", 431),
    refused("a method that never ends", b"G" * 300_000, "malformed HTTP request"),
    Case("exactly 100 headers", _GET + b"X: a\r\n" * 99 + b"\r\n", 200),
    Case("15 KiB of headers", _GET + b"X: " + b"a" * 15360 + b"\r\n\r\n", 200),
)


def _target(target: bytes) -> bytes:
    return request(target, token=b"")


# The connection's own refusals, as those of framing.
TARGETS_REFUSED = (
    refused("the form for proxies", _target(b"a:80"), "malformed HTTP request"),
    refused("a path without a slash", _target(b"v2"), "malformed HTTP request"),
    refused("a URL without a host", _target(b"http:///v2"), "neither a path nor a URL"),
    refused("a URL with port 99999", _target(b"http://a:99999/"), "neither a path nor a URL"),
    refused("a URL of another scheme", _target(b"ftp://a/"), "neither http nor https"),
    refused("a URL with a user", _target(b"http://u:p@a/"), "names a user"),
    refused("a fragment", _target(b"/v2#x"), "no fragment"),
    refused("a control character", _target(b"/v2\x01"), "malformed HTTP request"),
    refused("other letters", _target("/ä".encode()), "malformed HTTP request"),
    refused("half an encoding", _target(b"/v2/models/%"), "two hexadecimal digits"),
    refused("an encoding that is none", _target(b"/v2/models/%zz"), "two hexadecimal digits"),
    refused("UTF-8 that is none", _target(b"/v2/models/%ff"), "isn't that of UTF-8"),
    refused("overlong UTF-8", _target(b"/v2/models/%c0%af"), "isn't that of UTF-8"),
    refused("half a surrogate pair", _target(b"/v2/models/%ed%a0%80"), "isn't that of UTF-8"),
    refused("NUL", _target(b"/v2/models/a%00b"), "control characters"),
    refused("CR and LF", _target(b"/v2/models/a%0d%0aX:%20b"), "control characters"),
    Case("CONNECT", request(b"a:80", method=b"CONNECT", token=b""), 405, "proxies", closes=True),
)

TARGETS = (
    Case("a URL", request(b"http://a/v2/health/live", token=b""), 200),
    Case("a URL of another host", request(b"http://b:80/v2/health/live", token=b""), 200),
    Case("an asterisk", request(b"*", method=b"OPTIONS", token=b""), 404),
    Case("the parent folder", request(b"/v2/models/../../etc/passwd"), 404),
    Case("the parent folder encoded", request(b"/v2/models/..%2f..%2fetc%2fpasswd"), 404),
    Case("two slashes", request(b"//v2//health//live", token=b""), 404),
    # And no redirect to whatever the client says that the host is.
    Case("a slash at the end", request(b"/v2/health/live/", token=b""), 404),
    Case("a query of rubbish", request(b"/v2?%ff=%00&;=&&&=&%zz"), 200),
    Case("a path that nobody knows", request(b"/nothing"), 404),
    Case("one of OpenAI's that nobody knows", request(b"/v1/nothing"), 404, "no such path"),
    *(
        Case(f"a model of 300 letters at {tail.decode()}", request(path), 400, "model: is longer")
        for tail in (b"", b"/ready", b"/config", b"/stats")
        for path in (b"/v2/models/" + b"a" * 300 + tail,)
    ),
    Case("a version of 300 letters", request(b"/v2/models/long/versions/" + b"1" * 300), 400),
)

_LONG = b"/v2/models/long/infer"
METHODS = tuple(
    Case(
        f"{method.decode()} {target.decode()}",
        request(target, method=method),
        405,
        headers=(("allow", allow),),
    )
    for method, target, allow in (
        (b"GET", _LONG, "POST"),
        (b"DELETE", _LONG, "POST"),
        (b"PUT", b"/v2/models/long/generate", "POST"),
        (b"GET", b"/v1/chat/completions", "POST"),
        (b"PATCH", b"/v1/embeddings", "POST"),
        (b"POST", b"/v1/models", "GET"),
        (b"POST", b"/v2", "GET"),
        (b"DELETE", b"/v2/health/live", "GET"),
        (b"TRACE", b"/v2/health/live", "GET"),
        (b"GET", b"/v2/repository/index", "POST"),
    )
)

FIELDS = (
    Case("a request's id of rubbish", request(b"/v1/models", b"X-Request-Id: \xff<script>"), 200),
    Case("a request's id of 8 KiB", request(b"/v1/models", b"X-Request-Id: " + b"a" * 8192), 200),
    *(
        Case(
            f"traceparent {value.decode()}",
            request(b"/v1/models", b"Traceparent: " + value, b"Tracestate: =,,,;=\xff"),
            200,
        )
        for value in (
            b"",
            b"zz",
            b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01",
            b"ff-" + b"1" * 32 + b"-" + b"1" * 16 + b"-01",
            b"00-" + b"g" * 32 + b"-" + b"1" * 16 + b"-01",
            b"00-" + b"1" * 32 + b"-" + b"1" * 16 + b"-01" + b"-x" * 1000,
        )
    ),
    *(
        Case(
            f"a credential that is {name}",
            request(b"/v2", *fields, token=b""),
            401,
            "a valid bearer token is required",
            headers=(("www-authenticate", 'Bearer realm="penstock"'),),
        )
        for name, fields in {
            "missing": (),
            "empty": (b"Authorization:",),
            "a scheme alone": (b"Authorization: Bearer",),
            "of another scheme": (b"Authorization: Basic dTpw",),
            "rubbish": (b"Authorization: Bearer \xff\xfe",),
            "there twice": (b"Authorization: Bearer {token}",) * 2,
            "there in both forms": (b"Authorization: Bearer {token}", b"X-Api-Key: pk_x"),
            "two in one": (b"Authorization: Bearer {token}, Bearer {token}",),
            "an API key of rubbish": (b"X-Api-Key: pk_" + b"\xff" * 100,),
        }.items()
    ),
)
