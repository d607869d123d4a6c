"""Where a request ends: lengths, codings, chunks, lines (RFC 9112), and what isn't HTTP/1.1."""

from tests.conformance.corpus.wire import Case, refused, request

_POST = b"POST /v2/repository/index HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n"
_GET = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n"
_CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n\r\n"
_HIDDEN = b"GET /v2/health/ready HTTP/1.1\r\nHost: a\r\n\r\n"  # whoever is fooled answers it
_MALFORMED = "malformed HTTP request"


def _length(value: bytes) -> bytes:
    return _POST + b"Content-Length: " + value + b"\r\n\r\n{}" + _HIDDEN


def _coding(value: bytes) -> bytes:
    return _POST + b"Transfer-Encoding: " + value + b"\r\n\r\n0\r\n\r\n" + _HIDDEN


def _field(line: bytes) -> bytes:
    return _GET + line + b"\r\n\r\n" + _HIDDEN


# The connection's own refusals: every HTTP face gives them.
REFUSED = (
    refused(
        "a length and a coding",
        _POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + _HIDDEN,
        _MALFORMED,
    ),
    refused(
        "a coding and a length",
        _POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + _HIDDEN,
        _MALFORMED,
    ),
    refused("two lengths", _length(b"2\r\nContent-Length: 3"), _MALFORMED),
    refused("the same length twice", _length(b"2\r\nContent-Length: 2"), _MALFORMED),
    refused("a list of lengths", _length(b"2, 2"), _MALFORMED),
    refused("a length with a plus", _length(b"+2"), _MALFORMED),
    refused("a length with a minus", _length(b"-2"), _MALFORMED),
    refused("a length in hexadecimal", _length(b"0x2"), _MALFORMED),
    refused("a length with a fraction", _length(b"2.0"), _MALFORMED),
    refused("a length with an exponent", _length(b"2e0"), _MALFORMED),
    refused("a length in other digits", _length("٢".encode()), _MALFORMED),
    refused("a length of two numbers", _length(b"2 2"), _MALFORMED),
    refused("an empty length", _length(b""), _MALFORMED),
    refused("a length over 64 bits", _length(b"99999999999999999999"), _MALFORMED),
    refused("chunked twice", _coding(b"chunked, chunked"), _MALFORMED),
    refused("chunked and then gzip", _coding(b"chunked, gzip"), _MALFORMED),
    refused("gzip and then chunked", _coding(b"gzip, chunked"), "Transfer-Encoding", 501),
    refused("gzip alone", _coding(b"gzip"), "Transfer-Encoding", 501),
    refused("identity", _coding(b"identity"), "Transfer-Encoding", 501),
    refused("a coding that nobody knows", _coding(b"xchunked"), "Transfer-Encoding", 501),
    refused("a coding behind a vertical tab", _coding(b"\x0bchunked"), _MALFORMED),
    refused("two fields of codings", _coding(b"chunked\r\nTransfer-Encoding: chunked"), _MALFORMED),
    refused("no coding", _coding(b""), _MALFORMED),
    refused(
        "a coding in HTTP/1.0",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: is unknown to HTTP/1.0",
    ),
    refused("a folded line", _field(b"X: a\r\n b"), _MALFORMED),
    refused("a folded line with a tab", _field(b"X: a\r\n\tb"), _MALFORMED),
    refused("a folded first line", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", _MALFORMED),
    refused("a bare LF after a value", _field(b"X: a\nY: b"), _MALFORMED),
    refused("bare LFs everywhere", b"GET / HTTP/1.1\nHost: a\n\n", _MALFORMED),
    refused("a bare LF after the head", _GET + b"\n" + _HIDDEN, _MALFORMED),
    refused("a bare CR in a value", _field(b"X: a\rY: b"), _MALFORMED),
    refused("CR CR LF", _field(b"X: a\r\r\nY: b"), _MALFORMED),
    refused("NUL in a value", _field(b"X: a\0b"), _MALFORMED),
    refused("NUL in a name", _field(b"X\0: a"), _MALFORMED),
    refused("a control character in a value", _field(b"X: a\x01b"), _MALFORMED),
    refused("DEL in a value", _field(b"X: a\x7fb"), _MALFORMED),
    refused("a name that isn't ASCII", _field("Ä: a".encode()), _MALFORMED),
    refused("a name with brackets", _field(b"X(y): a"), _MALFORMED),
    refused("a space before the colon", _field(b"Content-Length : 5"), _MALFORMED),
    refused("a tab before the colon", _field(b"Content-Length\t: 5"), _MALFORMED),
    refused("no name", _field(b": a"), _MALFORMED),
    refused("no colon", _field(b"abc"), _MALFORMED),
    refused("no Host", b"GET /v2 HTTP/1.1\r\n\r\n", "Host: is required, once"),
    refused("two Hosts", _field(b"Host: b"), "Host: is there twice"),
    refused("the same Host twice", _field(b"Host: a"), "Host: is there twice"),
    *(
        refused(
            f"a Host with {what}", b"GET /v2 HTTP/1.1\r\nHost: " + host + b"\r\n\r\n", "Host: is"
        )
        for what, host in {
            "a path": b"a/b",
            "a user": b"u@a",
            "a space": b"a b",
            "markup": b"<a>",
            "a quote": b'a"',
            "a backslash": b"a\\b",
            "other letters": "ä".encode(),
        }.items()
    ),
    refused("HTTP/0.9", b"GET /v2\r\n\r\n", "HTTP/0.9 is not served"),
    refused("HTTP/1.2", b"GET /v2 HTTP/1.2\r\nHost: a\r\n\r\n", _MALFORMED),
    refused("HTTP/9.9", b"GET /v2 HTTP/9.9\r\nHost: a\r\n\r\n", _MALFORMED),
    refused("HTTP/2 without being asked", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)),
    refused("a TLS hello", bytes.fromhex("16030100c8010000c40303") + bytes(190), _MALFORMED),
    refused("an SSH greeting", b"SSH-2.0-OpenSSH_9.2\r\n", _MALFORMED),
    refused("no method", b"/v2 HTTP/1.1\r\nHost: a\r\n\r\n", _MALFORMED),
    refused("a method that nobody knows", b"FOO /v2 HTTP/1.1\r\nHost: a\r\n\r\n", _MALFORMED),
    refused("a method in lower case", b"get /v2 HTTP/1.1\r\nHost: a\r\n\r\n", _MALFORMED),
    refused("NUL alone", bytes(100), _MALFORMED),
)

CHUNKS = (
    refused("a negative chunk", _CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n", _MALFORMED),
    refused("a chunk with a plus", _CHUNKED + b"+2\r\n{}\r\n0\r\n\r\n", _MALFORMED),
    refused("a chunk with 0x", _CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n", _MALFORMED),
    refused("a chunk over 64 bits", _CHUNKED + b"fffffffffffffffff\r\n{}", _MALFORMED),
    refused(
        "a chunk of 2 to the 64th less 1",
        _CHUNKED + b"f" * 16 + b"\r\n" + b" " * (2 << 20),
        "the body has more than",
        413,
    ),
    refused("a chunk longer than it says", _CHUNKED + b"1\r\n{}\r\n0\r\n\r\n", _MALFORMED),
    refused("a chunk without a size", _CHUNKED + b"\r\n{}\r\n0\r\n\r\n", _MALFORMED),
    refused("a chunk that ends in LF", _CHUNKED + b"2\n{}\n0\n\n", _MALFORMED),
    refused("a chunk that ends in CR", _CHUNKED + b"2\r{}\r0\r\r", _MALFORMED),
    refused("a space after a chunk's size", _CHUNKED + b"2 \r\n{}\r\n0\r\n\r\n", _MALFORMED),
    refused("LF in a chunk's extension", _CHUNKED + b"2;a\nb\r\n{}\r\n0\r\n\r\n", _MALFORMED),
    refused("an endless extension", _CHUNKED + b"2;" + b"x" * 600_000, "mostly overhead"),
    refused(
        "an endless trailer", _CHUNKED + b"2\r\n{}\r\n0\r\nX: " + b"x" * 600_000, "mostly overhead"
    ),
    refused("a folded trailer", _CHUNKED + b"2\r\n{}\r\n0\r\nX: a\r\n b\r\n\r\n", _MALFORMED),
    Case("chunks with extensions", _CHUNKED + b'1;a=b\r\n{\r\n1;c="d"\r\n}\r\n0;e\r\n\r\n', 200),
)

# A proxy before us checks no trailers, so whatever they imitate counts for nothing.
_TENSOR = b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}'
_INFER = b"POST /v2/models/long/infer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
_SENT = b"\r\n%x\r\n" % len(_TENSOR) + _TENSOR + b"\r\n0\r\n"


def _with_trailers(*trailers: bytes, token: bytes = b"{token}") -> bytes:
    credential = b"Authorization: Bearer " + token + b"\r\n" if token else b""
    return _INFER + credential + _SENT + b"\r\n".join([*trailers, b"", b""])


TRAILERS = (
    Case(
        "a trailer that is a credential",
        _with_trailers(b"Authorization: Bearer {token}", token=b""),
        401,
        "a valid bearer token is required",
    ),
    refused("a trailer that is a length", _with_trailers(b"Content-Length: 1"), _MALFORMED),
    *(
        Case(f"a trailer that is {name}", _with_trailers(trailer), 200)
        for name, trailer in {
            "another credential": b"Authorization: Bearer x",
            "a type": b"Content-Type: text/xml",
            "an encoding": b"Content-Encoding: br",
            "the length of the JSON": b"Inference-Header-Content-Length: 1",
            "a host": b"Host: b",
            "a request's id": b"X-Request-Id: forged",
            "a client's address": b"X-Forwarded-For: 10.0.0.1",
        }.items()
    ),
)

ACCEPTED = (
    Case("empty lines before", b"\r\n\r\n" + request(b"/v2/health/live", token=b""), 200),
    Case("an empty Host", b"GET /v2/health/live HTTP/1.1\r\nHost:\r\n\r\n", 200),
    Case("a Host of IPv6", b"GET /v2/health/live HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200),
    Case("two spaces", b"GET  /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n", 200),
    Case("HTTP/1.0", b"GET /v2/health/live HTTP/1.0\r\n\r\n", 200, closes=True),
    Case("values of other letters", _GET + b"X: \xff\x80\r\n\r\n", 200),
    Case(
        "a body that waits to be asked for",
        request(b"/v2/models/long/infer", b"Expect: 100-continue", method=b"POST", body=_TENSOR),
        200,
        before=(100,),
    ),
    Case("an expectation of something else", request(b"/v2", b"Expect: the-unexpected"), 200),
    *(
        Case(f"an offer to speak {name}", request(b"/v2", b"Connection: upgrade", *fields), 200)
        for name, fields in {
            "HTTP/2": (b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"),
            "WebSocket": (b"Upgrade: websocket", b"Sec-WebSocket-Key: eA==", b"X: y"),
        }.items()
    ),
    Case(
        "an offer of HTTP/2 with a body",
        request(
            b"/v2/models/long/infer",
            b"Connection: Upgrade",
            b"Upgrade: h2c",
            method=b"POST",
            body=_TENSOR,
        ),
        200,
    ),
)
