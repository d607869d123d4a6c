"""HTTP/2 as no client sends it (RFC 9113): floods, frames out of place, heads that are none."""

from collections.abc import Iterable
from dataclasses import dataclass

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS = 1, 1, 4
PATH = b"/grpc.health.v1.Health/Check"
INFER = b"/inference.GRPCInferenceService/ModelInfer"
LIVE = b"/inference.GRPCInferenceService/ServerLive"
FLOOD = 10_000  # frames


@dataclass(frozen=True)
class Frames:
    """What is sent on a connection of its own; `status` is the call's, if it is to get one."""

    name: str
    sent: bytes
    status: int | None = None


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return (
        len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
    )


def begun(*frames: bytes, settings: bytes = b"") -> bytes:
    return PREFACE + frame(SETTINGS, 0, 0, settings) + b"".join(frames)


def field(name: bytes, value: bytes) -> bytes:
    """A literal without indexing, of RFC 7541, 6.2.2."""
    return b"\0" + _text(name) + _text(value)


def _text(text: bytes) -> bytes:
    length = len(text)
    if length < 127:
        return bytes([length]) + text
    coded, length = b"\x7f", length - 127
    while length >= 128:
        coded, length = coded + bytes([length % 128 + 128]), length // 128
    return coded + bytes([length]) + text


def head(*more: tuple[bytes, bytes], without: Iterable[bytes] = (), **changed: bytes) -> bytes:
    """The fields of a call of ServerLive, which is open to all."""
    usual = {
        b":method": b"POST",
        b":scheme": b"http",
        b":path": PATH,
        b":authority": b"a",
        b"te": b"trailers",
        b"content-type": b"application/grpc",
    }
    usual |= {name.encode(): value for name, value in changed.items()}
    return b"".join(
        field(name, value) for name, value in (*usual.items(), *more) if name not in without
    )


def call(
    message: bytes = b"\0\0\0\0\0", *more: tuple[bytes, bytes], stream: int = 1, fields: bytes = b""
) -> bytes:
    """A whole call: its head, and a message behind its prefix of five bytes."""
    return frame(HEADERS, END_HEADERS, stream, fields or head(*more)) + frame(
        DATA, END_STREAM, stream, message
    )


def _setting(name: int, value: int) -> bytes:
    return name.to_bytes(2, "big") + value.to_bytes(4, "big")


def _length(number: int) -> bytes:
    return number.to_bytes(4, "big")


def _resets(number: int) -> bytes:
    """CVE-2023-44487: streams that are ended as soon as they have begun."""
    opened = head()
    return b"".join(
        frame(HEADERS, END_HEADERS, stream, opened) + frame(RESET, 0, stream, _length(8))
        for stream in range(1, 2 * number, 2)
    )


def _unfinished(path: bytes) -> bytes:
    return frame(HEADERS, END_HEADERS, 1, head(**{":path": path}))


_CONTINUED = frame(HEADERS, 0, 1, head())
CALLS = (
    Frames("a call", begun(call()), 0),
    *(
        # RFC: at most eight digits and a unit. What is no time counts for none.
        Frames(
            f"a deadline of {value!r}",
            begun(call(b"\0\0\0\0\0", (b"grpc-timeout", value))),
        )
        for value in (
            b"0n",
            b"",
            b"-5S",
            b"1.5S",
            b"99999999H",
            b"999999999999999999999H",
            b"5",
            b"S",
            b"5s",
            b"\xff",
            b"1S, 2S",
        )
    ),
    Frames("a compressed message of no encoding", begun(call(b"\x01\0\0\0\x01a"))),
    Frames(
        "an encoding that nobody knows",
        begun(call(b"\x01\0\0\0\x01a", (b"grpc-encoding", b"br"))),
        13,
    ),
    Frames("gzip that is none", begun(call(b"\x01\0\0\0\x01a", (b"grpc-encoding", b"gzip")))),
    Frames("flags that nobody knows", begun(call(b"\x07\0\0\0\0"))),
    Frames("a message longer than it says", begun(call(b"\0\0\0\0\0rest"))),
    Frames("a message shorter than it says", begun(call(b"\0\0\0\0\x09a"))),
    Frames("a message of 4 GiB", begun(call(b"\0\xff\xff\xff\xffa")), 8),
    Frames("no message", begun(frame(HEADERS, END_HEADERS | END_STREAM, 1, head()))),
    # Who must not wait for a message answers without one.
    Frames("a stranger's call without a message", begun(_unfinished(INFER)), 16),
    Frames(
        "a stranger's message that never ends",
        begun(_unfinished(INFER), frame(DATA, 0, 1, b"\0\0\x08\0\0" + bytes(10_000))),
        16,
    ),
    Frames("who is live, without a message", begun(_unfinished(LIVE)), 0),
    Frames("two messages", begun(call(b"\0\0\0\0\0\0\0\0\0\0"))),
    Frames("a message that can't be decoded", begun(call(b"\0\0\0\0\x02\xff\xff")), 3),
    Frames("a method that nobody knows", begun(call(fields=head(**{":path": b"/a/b"}))), 12),
    Frames("a path of rubbish", begun(call(fields=head(**{":path": b"\xff" * 100}))), 12),
    Frames("no path", begun(call(fields=head(without=[b":path"])))),
    Frames("two paths", begun(call(fields=head() + field(b":path", PATH)))),
    Frames("GET", begun(call(fields=head(**{":method": b"GET"})))),
    Frames("a type that isn't gRPC's", begun(call(fields=head(**{"content-type": b"text/html"})))),
    Frames("no te", begun(call(fields=head(without=[b"te"])))),
    Frames("a name in capitals", begun(call(fields=head((b"X-A", b"b"))))),
    Frames("a colon in a name", begun(call(fields=head((b":x", b"b"))))),
    Frames("CR LF in a value", begun(call(fields=head((b"x", b"a\r\nb"))))),
    Frames("NUL in a value", begun(call(fields=head((b"x", b"a\0b"))))),
    Frames("binary metadata that is none", begun(call(fields=head((b"x-bin", b"!!!"))))),
    Frames("1,000 fields", begun(call(fields=head(*[(b"x%d" % n, b"y") for n in range(1000)])))),
)

FLOODS = (
    Frames("settings", begun(frame(SETTINGS, 0, 0, _setting(4, 1)) * FLOOD)),
    Frames("pings", begun(frame(PING, 0, 0, bytes(8)) * FLOOD)),
    Frames("answers to no ping", begun(frame(PING, ACK, 0, bytes(8)) * FLOOD)),
    Frames("resets", begun(_resets(2000))),
    Frames("resets of nothing", begun(frame(RESET, 0, 1, _length(8)) * FLOOD)),
    Frames("frames that nobody knows", begun(frame(0xEE, 0, 0, b"x") * FLOOD)),
    Frames("priorities", begun(frame(PRIORITY, 0, 1, _length(3) + b"\0") * FLOOD)),
    Frames("windows", begun(frame(WINDOW, 0, 0, _length(1)) * FLOOD)),
    Frames("empty continuations", begun(_CONTINUED, frame(CONTINUATION, 0, 1) * FLOOD)),
    Frames(
        "continuations",
        begun(_CONTINUED, frame(CONTINUATION, 0, 1, field(b"x", b"y" * 999)) * 1000),
    ),
    Frames("empty data", begun(frame(HEADERS, END_HEADERS, 1, head()), frame(DATA, 0, 1) * FLOOD)),
    Frames(
        "a head of 1 MB",
        begun(frame(HEADERS, END_HEADERS, 1, head((b"x", b"y" * 16000))), _resets(50)),
    ),
)

OUT_OF_PLACE = (
    Frames("half a preface", PREFACE[:12]),
    Frames("another preface", b"PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n" + bytes(100)),
    Frames("HTTP/1.1", b"POST /v2/models/long/infer HTTP/1.1\r\nHost: a\r\n\r\n"),
    Frames("a TLS hello", bytes.fromhex("16030100c8010000c40303") + bytes(190)),
    Frames("zeros", bytes(10_000)),
    Frames("no settings", PREFACE + call()),
    Frames("a frame of 16 MB", begun(b"\xff\xff\xff\0\0\0\0\0\x01" + bytes(100_000))),
    Frames("data of no stream", begun(frame(DATA, 0, 0, b"x"))),
    Frames("data of a stream that isn't there", begun(frame(DATA, 0, 99, b"x"))),
    Frames("a head of no stream", begun(frame(HEADERS, END_HEADERS, 0, head()))),
    Frames("a head of an even stream", begun(call(stream=2))),
    Frames("streams that go back", begun(call(stream=9), call(stream=3))),
    Frames("a stream twice", begun(call(), call())),
    Frames("a push", begun(frame(PUSH, END_HEADERS, 1, _length(2) + head()))),
    Frames("a goodbye, and then a call", begun(frame(GOAWAY, 0, 0, bytes(8)), call())),
    Frames("a continuation of nothing", begun(frame(CONTINUATION, END_HEADERS, 1, head()))),
    Frames("a head cut by a ping", begun(_CONTINUED, frame(PING, 0, 0, bytes(8)))),
    Frames("settings of half a setting", begun(settings=b"\0\0\0")),
    Frames("settings of a stream", begun(frame(SETTINGS, 0, 1))),
    Frames("a ping of seven bytes", begun(frame(PING, 0, 0, bytes(7)))),
    Frames("a window of 0", begun(frame(WINDOW, 0, 0, _length(0)))),
    Frames("a window over 2 to the 31st", begun(frame(WINDOW, 0, 0, _length(2**31 - 1)) * 2)),
    Frames("frames of at most 1 byte", begun(call(), settings=_setting(5, 1))),
    Frames("an initial window of 2 to the 32nd", begun(call(), settings=_setting(4, 2**32 - 1))),
    Frames("no window at all", begun(call(), settings=_setting(4, 0))),
    Frames("no streams at all", begun(call(), settings=_setting(3, 0))),
    Frames("fields of nothing", begun(frame(HEADERS, END_HEADERS, 1, b"\x80"))),
    Frames("field 10,000 of the table", begun(frame(HEADERS, END_HEADERS, 1, b"\xff\x91\x4d"))),
    Frames("a number that never ends", begun(frame(HEADERS, END_HEADERS, 1, b"\xff" * 1000))),
    Frames("a table of 4 GiB", begun(frame(HEADERS, END_HEADERS, 1, b"\x3f\xe1\xff\xff\xff\x0f"))),
    Frames(
        "a text longer than its frame", begun(frame(HEADERS, END_HEADERS, 1, b"\0\x7f\xff\x7fa"))
    ),
    Frames(
        "Huffman's code of nothing",
        begun(frame(HEADERS, END_HEADERS, 1, b"\0\x84\xff\xff\xff\xff")),
    ),
    Frames(
        "padding longer than its frame", begun(frame(HEADERS, END_HEADERS | 8, 1, b"\xff" + head()))
    ),
    Frames("a stream that depends on itself", begun(frame(PRIORITY, 0, 1, _length(1) + b"\0"))),
)
