"""Bodies: how large, packed how, of what type; and the binary form of tensors."""

import gzip
import json
import zlib

from tests.conformance.corpus.wire import Case, request

BODY = 1 << 20  # bytes that the gateway of these tests takes in a body, and half of it in JSON
_LONG = b"/v2/models/long/infer"
_GOOD = b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}'


def _packed(name: str, body: bytes, encoding: bytes, status: int, says: str = "") -> Case:
    field = b"Content-Encoding: " + encoding
    return Case(name, request(_LONG, field, method=b"POST", body=body), status, says)


_GZIP = gzip.compress(_GOOD)
PACKED = (
    _packed("gzip", _GZIP, b"gzip", 200),
    _packed("deflate", zlib.compress(_GOOD), b"deflate", 200),
    _packed("gzip that is none", _GOOD, b"gzip", 400, "Content-Encoding"),
    _packed("gzip without its end", _GZIP[:-5], b"gzip", 400, "not one complete"),
    _packed("gzip with a tail", _GZIP + b"x", b"gzip", 400, "not one complete"),
    _packed("gzip of two members", _GZIP + _GZIP, b"gzip", 400, "not one complete"),
    _packed("gzip with a wrong sum", _GZIP[:-8] + bytes(8), b"gzip", 400, "not one complete"),
    _packed("gzip twice", gzip.compress(_GZIP), b"gzip, gzip", 415, "Content-Encoding"),
    _packed("two encodings", _GZIP, b"gzip\r\nContent-Encoding: gzip", 400, "each may be there"),
    _packed("bare deflate", zlib.compress(_GOOD, wbits=-15), b"deflate", 400, "not what it says"),
    _packed("brotli", _GOOD, b"br", 415, "Content-Encoding"),
    _packed("zstandard", _GOOD, b"zstd", 415, "Content-Encoding"),
    _packed("an encoding of rubbish", _GOOD, b"\xff\xfe", 415, "Content-Encoding"),
    _packed("a bomb", gzip.compress(bytes(2 * BODY)), b"gzip", 413, "the body"),
    _packed("a bomb of 300 MB", gzip.compress(bytes(300_000_000)), b"gzip", 413, "the body"),
)


def _typed(name: str, value: bytes, status: int = 415) -> Case:
    field = b"Content-Type: " + value
    return Case(name, request(_LONG, field, method=b"POST", body=_GOOD), status)


TYPED = (
    _typed("JSON", b"application/json; charset=utf-8", 200),
    _typed("no type", b"", 200),
    _typed("another type", b"text/plain"),
    _typed("a form of parts", b"multipart/form-data; boundary=x"),
    _typed("JSON in UTF-16", b"application/json; charset=utf-16"),
    _typed("a type of rubbish", b"\xff/;;;=,"),
    _typed("two types", b"application/json\r\nContent-Type: application/json", 400),
)


def _chunks(size: int) -> bytes:
    head = request(_LONG, b"Transfer-Encoding: chunked", method=b"POST")
    return head + (b"%x\r\n" % 65536 + b" " * 65536 + b"\r\n") * (size // 65536)


TOO_LARGE = (
    Case(
        "a length over the limit, before a byte of it",
        request(_LONG, b"Content-Length: %d" % (BODY + 1), method=b"POST"),
        413,
        f"more than {BODY} bytes",
        closes=True,
    ),
    Case(
        "a length of 2 to the 63rd",
        request(_LONG, b"Content-Length: %d" % 2**63, method=b"POST"),
        413,
        f"more than {BODY} bytes",
        closes=True,
    ),
    Case(
        "chunks over the limit, before their end",
        _chunks(2 * BODY),
        413,
        f"more than {BODY} bytes",
        closes=True,
    ),
    Case(
        "JSON over its own limit",
        request(_LONG, method=b"POST", body=b" " * (BODY // 2 + 1)),
        413,
        "send tensors in the binary form",
    ),
    Case(
        "a stranger's body, unread",
        request(_LONG, b"Content-Length: 1000000", method=b"POST", token=b""),
        401,
        "a valid bearer token is required",
        closes=True,
    ),
)


def _binary(
    name: str,
    sizes: list[object],
    data: bytes,
    says: str,
    *,
    length: bytes | None = None,
    shape: object = (2,),
    status: int = 400,
) -> Case:
    """Tensors of those sizes; `length` is what the header says of the JSON's."""
    inputs = [
        {
            "name": f"x{place}",
            "datatype": "FP32",
            "shape": shape,
            "parameters": {"binary_data_size": size},
        }
        for place, size in enumerate(sizes)
    ]
    head = json.dumps({"inputs": inputs}).encode()
    said = b"Inference-Header-Content-Length: " + (length or b"%d" % len(head))
    return Case(name, request(_LONG, said, method=b"POST", body=head + data), status, says)


_SIZE = "binary_data_size"
_LENGTH = "Inference-Header-Content-Length"
BINARY = (
    _binary("a negative size", [-1], b"", _SIZE),
    _binary("a size of 2 to the 63rd", [2**63], bytes(8), _SIZE),
    _binary("a size over 64 bits", [2**64 + 8], bytes(8), "64 bits"),
    _binary("a size with a fraction", [8.0], bytes(8), _SIZE),
    _binary("a size that is true", [True], bytes(8), _SIZE),
    _binary("a size that is a text", ["8"], bytes(8), _SIZE),
    _binary("two tensors in the bytes of one", [8, 8], bytes(8), _SIZE),
    _binary("bytes that are nobody's", [8], bytes(16), "8 bytes follow"),
    _binary("fewer bytes than the shape takes", [4], bytes(4), 'inputs[0] "x0"'),
    _binary("a shape of 2 to the 62nd", [8], bytes(8), "elements", shape=(2**31, 2**31)),
    _binary("a negative length", [8], bytes(8), _LENGTH, length=b"-5"),
    _binary("a length with a plus", [8], bytes(8), _LENGTH, length=b"+5"),
    _binary("a length of 30 digits", [8], bytes(8), _LENGTH, length=b"9" * 30),
    _binary("a length beyond the body", [8], bytes(8), _LENGTH, length=b"100000"),
    _binary("a length in other digits", [8], bytes(8), _LENGTH, length="٣".encode()),
    _binary("a length twice", [8], bytes(8), "twice", length=b"5\r\n" + _LENGTH.encode() + b": 5"),
)
