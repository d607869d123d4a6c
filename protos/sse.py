"""Server-Sent Events without I/O, after the HTML standard's section 9.2."""

from dataclasses import dataclass, field

from protos.errors import Kind, PenstockError

MAX_EVENT_BYTES = 64 << 20


def encode(data: bytes, event: bytes = b"") -> bytes:
    """One event; every line of `data` becomes a line of the event, so that none is lost."""
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    head = b"event: " + event + b"\n" if event else b""
    return head + b"data: " + data.replace(b"\n", b"\ndata: ") + b"\n\n"


@dataclass(frozen=True, slots=True)
class Event:
    """An event as a reader sees it; `id` is the last one that the stream has given."""

    data: str
    event: str = "message"
    id: str = ""


@dataclass(slots=True)
class Parser:
    """Reads a stream of events in pieces of any size; how it is cut makes no difference.

    An event whose blank line never comes is none, as the standard has it.
    """

    _rest: list[bytes] = field(default_factory=list)  # pieces of an unfinished line
    _rest_size: int = 0
    _skip_newline: bool = False
    _at_start: bool = True
    _data: list[bytes] = field(default_factory=list)
    _size: int = 0
    _event: bytes = b""
    _id: bytes = b""

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that this piece completes.

        Raises PenstockError BAD_REPLY for bytes that are not UTF-8 and for endless events.
        """
        if self._skip_newline and chunk:
            # The piece before ended in the CR of what may be a CR LF.
            self._skip_newline = False
            chunk = chunk.removeprefix(b"\n")
        if not chunk:
            return []
        self._rest.append(chunk)
        self._rest_size += len(chunk)
        if b"\n" not in chunk and b"\r" not in chunk and not self._at_start:
            if self._size + self._rest_size > MAX_EVENT_BYTES:
                raise _too_long()
            return []
        buffer = b"".join(self._rest)
        if self._at_start:
            if buffer in (b"\xef", b"\xef\xbb"):
                return []
            self._at_start = False
            buffer = buffer.removeprefix(b"\xef\xbb\xbf")
        lines = buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._skip_newline = buffer.endswith(b"\r")
        self._rest = [lines.pop()]
        self._rest_size = len(self._rest[0])
        events = []
        for line in lines:
            event = self._line(line)
            if event is not None:
                events.append(event)
        return events

    def _line(self, line: bytes) -> Event | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value) + 1
            if self._size > MAX_EVENT_BYTES:
                raise _too_long()
        elif name == b"event":
            self._event = value
        elif name == b"id" and b"\0" not in value:
            self._id = value
        return None  # comments and other fields are ignored

    def _dispatch(self) -> Event | None:
        data, name = self._data, self._event
        self._data, self._event, self._size = [], b"", 0
        if not data:
            return None
        try:
            return Event(b"\n".join(data).decode(), name.decode() or "message", self._id.decode())
        except UnicodeDecodeError:
            raise PenstockError(Kind.BAD_REPLY, "the event stream is not UTF-8") from None


def _too_long() -> PenstockError:
    return PenstockError(
        Kind.BAD_REPLY, f"an event of the stream is longer than {MAX_EVENT_BYTES} bytes"
    )
