"""One call under way: what the engine says, in parts to the gateway."""

from collections.abc import Callable
from dataclasses import replace

from backends.language.parts import Content, Parts
from backends.language.texts import text_of
from backends.llm.choice import Said
from backends.llm.forms import Form, usage_of
from protos.errors import PenstockError
from protos.exchange_calls import Call
from protos.values import OpenAi


class Answering:
    """`prompts` are the lengths of the call's prompts, `choices` how many answers each gets.

    `leave` is called once, when nothing more is wanted of the engine. A client that doesn't read
    makes the parts wait here, no more of them than the answer has.
    """

    def __init__(
        self,
        call: Call,
        form: Form,
        prompts: list[int],
        choices: int,
        parts: Parts,
        *,
        leave: Callable[[], None],
    ) -> None:
        self._call = call
        self._form = form
        self._prompts = prompts
        self._choices = choices
        self._parts = parts
        self._leave = leave
        self._open = len(prompts)
        self._tokens = self._reused = 0
        self._whole: dict[int, Said] = {}
        self._held: list[OpenAi] = []
        self._over = False

    def cancel(self) -> None:
        self._end()

    def credit(self, room: int) -> None:
        self._parts.room += room
        self._flush()

    def say(self, prompt: int, said: Said) -> None:
        """More of what one of the prompts is answered with."""
        if self._over:
            return
        self._parts.begin()
        said = replace(said, choice=prompt * self._choices + said.choice)
        self._tokens += said.tokens
        self._reused += said.reused
        self._open -= said.final
        self._whole[said.choice] = _joined(self._whole.get(said.choice), said)
        if self._call.streaming:
            gathered = self._whole[said.choice]
            if gathered.text or gathered.finish:
                self._held.append(self._form.chunk(gathered))
                del self._whole[said.choice]
        if not self._open:
            usage = usage_of(sum(self._prompts), self._tokens, self._reused)
            if self._call.streaming:
                self._held.append(self._form.usage(usage))
            else:
                choices = [said for _, said in sorted(self._whole.items())]
                self._held.append(self._form.whole(choices, usage))
        self._flush()

    def fail(self, error: PenstockError) -> None:
        if not self._over:
            self._parts.fail(error, executed=True)
            self._end()

    def _flush(self) -> None:
        if self._over:
            return
        if not self._call.streaming:
            for body in self._held:
                self._part(body, final=True)
                self._end()
            return
        while self._held and self._parts.room > 0:
            self._part(self._held.pop(0), final=False)
        if not self._open and not self._held:
            self._parts.send((), final=True)
            self._end()

    def _part(self, body: OpenAi, *, final: bool) -> None:
        content: Content = body
        if self._call.openai is None:
            content = text_of(body.body, streaming=self._call.streaming)
            if not content:
                return
        self._parts.send(content, final=final)

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._held.clear()
            self._leave()


def _joined(before: Said | None, said: Said) -> Said:
    if before is None:
        return said
    return replace(
        said,
        text=before.text + said.text,
        tokens=before.tokens + said.tokens,
        likely=before.likely + said.likely,
    )
