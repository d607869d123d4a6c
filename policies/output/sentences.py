"""Streamed text cut into sentences, at places that only the text itself decides.

What is judged before it is said has to be whole enough to be judged; so a sentence is given out
when it has ended. The same text makes the same sentences however it came.
"""

import re

from policies.channels import TextStream
from policies.pii.steps import Steps

LONGEST = 2000  # characters, where no sentence ends

# One blank suffices, since whether more follow isn't known yet; nor does Chinese need any.
_END = re.compile(r"[.!?…][\"'”’)\]]*\s|[。！？\n]")


class Sentences:
    """Gives out whole sentences of what `said` gives out, and adds them to `judged`."""

    def __init__(self, said: TextStream, judged: list[str]) -> None:
        self._said = said
        self._judged = judged
        self._held = ""

    def push(self, piece: str) -> str:
        """What has been said up to the end of the last sentence."""
        return self._give(self._said.push(piece))

    def flush(self) -> Steps[str]:
        """The rest, which is a sentence as well."""
        given = self._give((yield from self._said.flush()))
        rest, self._held = self._held, ""
        if rest:
            self._judged.append(rest)
        return given + rest

    def _give(self, said: str) -> str:
        text = self._held + said
        done = 0
        while end := _end(text, done):
            self._judged.append(text[done:end])
            done = end
        self._held = text[done:]
        return text[:done]


def _end(text: str, begin: int) -> int:
    """Where the sentence ends that begins there; 0 as long as it doesn't."""
    match = _END.search(text, begin, begin + LONGEST)
    if match is not None:
        return match.end()
    return begin + LONGEST if len(text) - begin >= LONGEST else 0
