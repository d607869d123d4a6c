"""Event streams of model servers: the same events however they are cut."""

from random import Random

from protos.errors import Kind
from protos.sse import Event, Parser, encode
from tests.fuzz.refusing import refusing


def one(data: bytes) -> None:
    with refusing(Kind.BAD_REPLY):
        whole = Parser().feed(data)
        assert _in_pieces(data) == whole
        for event in whole:
            again = Parser().feed(encode(event.data.encode()))
            assert [each.data for each in again] == [_lines(event.data)]


def _in_pieces(data: bytes) -> list[Event]:
    cuts = Random(len(data))
    parser, events = Parser(), []
    while data:
        size = cuts.choice((1, 2, 5, 30))
        events += parser.feed(data[:size])
        data = data[size:]
    return events


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
