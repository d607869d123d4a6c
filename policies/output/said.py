"""What a model says, as an output policy looks at it: texts to be judged, whole or by sentence."""

from policies.channels import TextStream
from policies.output.sentences import Sentences
from policies.pii.passage import Passage
from policies.pii.said import SaidReply
from protos.pieces import Channel
from protos.text import texts
from protos.values import OpenAi, Payload

# Under these keys OpenAI's objects have what the model says; the others hold ids and names.
_SPOKEN = frozenset({"content", "text", "refusal", "reasoning_content", "reasoning", "arguments"})


def spoken(payload: Payload) -> list[str]:
    """The texts of a whole reply, without empty ones."""
    every = not isinstance(payload, OpenAi)
    return [
        each.text
        for each in texts(payload, reply=True)
        if each.text and not each.key and (every or each.name in _SPOKEN)
    ]


class JudgedReply(SaidReply):
    """A streamed reply that is given out by sentences; `judged` gets each before it is."""

    def __init__(self, passage: Passage) -> None:
        super().__init__(passage)
        self.judged: list[str] = []

    def _stream(self, channel: Channel) -> TextStream:
        return Sentences(super()._stream(channel), self.judged)
