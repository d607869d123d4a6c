"""A streamed reply through policies that hold text back: one buffer a channel, none left unread.

Whatever is done to a text is done by `TextStream`s, which give out what they have decided. Here is
how that becomes parts again. What a choice of OpenAI's still holds is said in a part of its own
before the one that finishes it, since clients stop reading there.
"""

from collections.abc import Callable
from typing import Protocol

from policies.pii.steps import SLICE, Steps
from protos.pieces import Channel, finished, rewritten, saying
from protos.values import OpenAi, Part, Payload


class TextStream(Protocol):
    """One text that comes in pieces; either may raise what ends the reply."""

    def push(self, piece: str) -> str:
        """What can be given out now."""

    def flush(self) -> str:
        """The rest; the text is over."""


class Channels:
    """The texts of one reply. `stream` makes what one of them passes through.

    `whole` takes strings that stand for themselves; `unreadable` gives the error for bytes of a
    channel that are no text, or None to pass them on.
    """

    def __init__(
        self,
        stream: Callable[[Channel], TextStream],
        whole: Callable[[str], str],
        unreadable: Callable[[Channel], Exception | None],
    ) -> None:
        self._stream = stream
        self._whole = whole
        self._unreadable = unreadable
        self._streams: dict[Channel, TextStream] = {}
        self._likeness: dict[Channel, Payload] = {}  # the last part that had the channel

    def take(self, part: Part) -> Steps[list[Part]]:
        """The parts to give on for one that came. Raises BAD_REPLY for one of no known form."""
        payload = part.payload
        over = finished(payload)
        rest: dict[Channel, str] = {}
        # A part with much text is worked on before it is written, as that has no steps.
        done = iter((yield from self._in_slices(payload))) if _large(payload) else None

        def written(channel: Channel | None, text: str | None) -> str | None:
            if channel is None:
                return None if text is None else self._whole(text)
            if text is None:
                error = self._unreadable(channel)
                if error is not None:
                    raise error
                return None
            said = self._open(channel).push(text) if done is None else next(done)
            self._likeness[channel] = payload
            if part.final or channel[0] in over:
                said += self._flush(channel)
                if isinstance(payload, OpenAi):
                    rest[channel], said = said, ""
            return said

        new = rewritten(payload, written)
        for channel in [c for c in self._streams if part.final or c[0] in over]:
            rest[channel] = self._flush(channel)
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

    def end(self, part: Part) -> list[Part]:
        """What is left when no part comes any more; `part` is the last one that came."""
        return self._said(part, {channel: self._flush(channel) for channel in [*self._streams]})

    def _in_slices(self, payload: Payload) -> Steps[list[str]]:
        """What its pieces give out, in their order."""
        pieces: list[tuple[Channel, str]] = []

        def collect(channel: Channel | None, text: str | None) -> None:
            if channel is not None and text is not None:
                pieces.append((channel, text))

        rewritten(payload, collect)
        done: list[str] = []
        for channel, text in pieces:
            stream = self._open(channel)
            said = []
            for start in range(0, len(text), SLICE):
                said.append(stream.push(text[start : start + SLICE]))
                yield
            done.append("".join(said))
        return done

    def _open(self, channel: Channel) -> TextStream:
        stream = self._streams.get(channel)
        if stream is None:
            stream = self._streams[channel] = self._stream(channel)
        return stream

    def _flush(self, channel: Channel) -> str:
        return self._streams.pop(channel).flush()

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


def _large(payload: Payload) -> bool:
    """Whether it has more text than may be worked on without a pause."""
    if isinstance(payload, OpenAi):
        return payload.size > SLICE
    return sum([len(tensor.data) for tensor in payload.tensors]) > SLICE
