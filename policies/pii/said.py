"""What a model says piece by piece: its own findings hidden, what the requester sent restored."""

from dataclasses import replace

from policies.channels import Channels, TextStream
from policies.pii.passage import Passage, hint_of
from policies.pii.steps import Steps
from policies.pii.streams import StreamRedactor, StreamRestorer
from protos.errors import Kind, PenstockError
from protos.pieces import FUNCTION, TOOLS, Channel
from protos.values import Part

REMEMBERED = 64  # strings of a reply
LONGEST_ARGUMENTS = 1 << 18  # characters of one call of a tool


class SaidReply:
    """A streamed reply, part by part; its work comes in steps, as a passage's does."""

    def __init__(self, passage: Passage) -> None:
        self._passage = passage
        self._channels = Channels(self._stream, self._whole, self._unreadable)
        self._known: dict[str, str] = {}  # strings that are in each part: an id, the model's name

    def take(self, part: Part) -> Steps[list[Part]]:
        """The parts to give on for one that came."""
        parts = yield from self._channels.take(part)
        if part.parameters:
            parameters = yield from self._passage.parameters(part.parameters)
            parts[-1] = replace(parts[-1], parameters=parameters)
        return parts

    def end(self, last: Part) -> Steps[list[Part]]:
        """What is left when no part comes any more."""
        return (yield from self._channels.end(last))

    def _stream(self, channel: Channel) -> TextStream:
        if channel[1] in (TOOLS, FUNCTION):
            return SaidArguments(self._passage)
        if isinstance(channel[0], str):
            return SaidText(self._passage, hint_of(channel[0]))
        return SaidText(self._passage, escaped=self._passage.answers_json)

    def _whole(self, text: str) -> Steps[str]:
        known = self._known.get(text)
        if known is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            known = self._known[text] = yield from self._passage.answer(text)
        return known

    def _unreadable(self, channel: Channel) -> PenstockError | None:
        name, index = channel
        return self._passage.unreadable(str(name), int(index), reply=True)


class SaidText:
    """A text; with `escaped`, values come back in the form that they have in JSON.

    Raises FORBIDDEN before it gives out what the policy blocks.
    """

    def __init__(self, passage: Passage, hint: str = "", *, escaped: bool = False) -> None:
        self._passage = passage
        self._redactor = StreamRedactor(passage.redactor, passage.vault, hint, blocking=False)
        self._restorer = StreamRestorer(passage.vault, escaped=escaped)

    def push(self, piece: str) -> str:
        return self._restorer.push(self._checked(self._redactor.push(piece)))

    def flush(self) -> Steps[str]:
        yield from ()
        rest = self._restorer.push(self._checked(self._redactor.flush()))
        return rest + self._restorer.flush()

    def _checked(self, text: str) -> str:
        if spans := self._redactor.spans:
            self._redactor.spans = []
            self._passage.said(spans)
        return text


class SaidArguments:
    """The arguments of a tool: JSON, of which half is of no use to anyone, so given out whole."""

    def __init__(self, passage: Passage) -> None:
        self._passage = passage
        self._pieces: list[str] = []
        self._length = 0

    def push(self, piece: str) -> str:
        self._length += len(piece)
        if self._length > LONGEST_ARGUMENTS:
            raise PenstockError(
                Kind.BAD_REPLY,
                f"the arguments of a tool have more than {LONGEST_ARGUMENTS} characters, which the"
                f" {self._passage.redactor.called} policy can't look at together",
            )
        self._pieces.append(piece)
        return ""

    def flush(self) -> Steps[str]:
        return (yield from self._passage.answer("".join(self._pieces)))
