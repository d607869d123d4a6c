"""A streamed reply through policies that hold text back: one buffer a channel, none left unread.

Whatever is done to a text is done by `TextStream`s, which give out what they have decided. Here is
how that becomes parts again. What a choice of OpenAI's still holds is said in a part of its own
before the one that finishes it, since clients stop reading there.
"""

from collections.abc import Callable
from typing import Protocol

from policies.pii.steps import EACH, SLICE, Steps
from protos.errors import Kind, PenstockError
from protos.pieces import NAME, Channel, finished, rewriting, saying
from protos.values import OpenAi, Part, Payload


class TextStream(Protocol):
    """One text that comes in pieces; either may raise what ends the reply."""

    def push(self, piece: str) -> str:
        """What can be given out now."""

    def flush(self) -> Steps[str]:
        """The rest; the text is over."""


class Channels:
    """The texts of one reply. `stream` makes what one of them passes through.

    `whole` takes strings that stand for themselves; `unreadable` gives the error for bytes of a
    channel that are no text, or None to pass them on.
    """

    def __init__(
        self,
        stream: Callable[[Channel], TextStream],
        whole: Callable[[str], Steps[str]],
        unreadable: Callable[[Channel], Exception | None],
    ) -> None:
        self._stream = stream
        self._whole = whole
        self._unreadable = unreadable
        self._streams: dict[Channel, TextStream] = {}
        self._names: dict[Channel, str] = {}  # of tools, which come whole
        self._likeness: dict[Channel, Payload] = {}  # the last part that had the channel

    def take(self, part: Part) -> Steps[list[Part]]:
        """The parts to give on for one that came. Raises BAD_REPLY for one of no known form."""
        payload = part.payload
        over = finished(payload)
        rest: dict[Channel, str] = {}
        seen: list[Channel] = []
        walk = rewriting(payload)
        done = 0
        written: str | None = None
        while True:
            try:
                channel, text = walk.send(written)
            except StopIteration as end:
                new: Payload = end.value
                break
            done += EACH if text is None else EACH + len(text)
            if done > SLICE:
                done = 0
                yield
            if channel is None or channel[-1] == NAME:
                written = yield from self._stands(channel, text)
                continue
            if text is None:
                error = self._unreadable(channel)
                if error is not None:
                    raise error
                written = None
                continue
            written = yield from self._pushed(channel, text)
            seen.append(channel)
            if part.final or channel[0] in over:
                written += yield from self._flush(channel)
                if isinstance(payload, OpenAi):
                    rest[channel], written = written, ""
        for channel in seen:
            self._likeness[channel] = new  # and not the part that came: nobody has looked at that
        for channel in [c for c in self._streams if part.final or c[0] in over]:
            rest[channel] = yield from self._flush(channel)
        last = Part(
            new,
            part.version,
            part.parameters,
            part.final,
            part.queue_us,
            part.compute_us,
            part.batch_rows,
        )
        return [*self._said(part, rest), last] if rest else [last]

    def end(self, part: Part) -> Steps[list[Part]]:
        """What is left when no part comes any more; `part` is the last one that came."""
        rest: dict[Channel, str] = {}
        for channel in [*self._streams]:
            rest[channel] = yield from self._flush(channel)
        return self._said(part, rest)

    def _stands(self, channel: Channel | None, text: str | None) -> Steps[str | None]:
        """What is written for a string that stands for itself, as a tool's name does."""
        if not text:
            return None
        if channel is not None and self._names.setdefault(channel, text) != text:
            raise PenstockError(
                Kind.BAD_REPLY,
                "the model sent the name of a tool in pieces, which no policy can follow",
            )
        return (yield from self._whole(text))

    def _pushed(self, channel: Channel, text: str) -> Steps[str]:
        stream = self._open(channel)
        if len(text) <= SLICE:
            return stream.push(text)
        said = []
        for start in range(0, len(text), SLICE):
            said.append(stream.push(text[start : start + SLICE]))
            yield
        return "".join(said)

    def _open(self, channel: Channel) -> TextStream:
        stream = self._streams.get(channel)
        if stream is None:
            stream = self._streams[channel] = self._stream(channel)
        return stream

    def _flush(self, channel: Channel) -> Steps[str]:
        return (yield from self._streams.pop(channel).flush())

    def _said(self, part: Part, rest: dict[Channel, str]) -> list[Part]:
        """Parts that say the rest; channels whose last parts were one share one."""
        parts: list[tuple[Payload, dict[Channel, str]]] = []
        for channel, text in rest.items():
            like = self._likeness.pop(channel)
            if not text:
                continue
            if not parts or parts[-1][0] is not like:
                parts.append((like, {}))
            parts[-1][1][channel] = text
        return [Part(saying(like, said), part.version, {}, final=False) for like, said in parts]
