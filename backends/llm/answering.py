"""One call under way: what the engine says, in parts to the gateway."""

from collections.abc import Callable
from dataclasses import replace

from backends.exchange import Answer
from backends.llm.choice import Said
from backends.llm.forms import Form, usage_of
from backends.openai.roster import VERSION
from backends.openai.texts import text_of
from protos import exchange_parts
from protos.errors import PenstockError
from protos.exchange_calls import Call
from protos.exchange_objects import bytes_of
from protos.values import OpenAi, Tensor, Tensors


class Answering:
    """`prompts` are the lengths of the call's prompts, `choices` how many answers each gets.

    `sharing`, `queued` and `begun` are as in `backends.openai.answering`.

    `leave` is called once, when nothing more is wanted of the engine. A client that doesn't read
    makes the parts wait here, no more of them than the answer has.
    """

    def __init__(
        self,
        call: Call,
        form: Form,
        prompts: list[int],
        choices: int,
        answer: Answer,
        *,
        clock: Callable[[], float],
        sharing: Callable[[], int],
        queued: Callable[[float], float],
        begun: Callable[[float], None],
        leave: Callable[[], None],
    ) -> None:
        self._call = call
        self._form = form
        self._prompts = prompts
        self._choices = choices
        self._answer = answer
        self._clock = clock
        self._sharing = sharing
        self._queued = queued
        self._begun = begun
        self._leave = leave
        self._open = len(prompts)
        self._tokens = self._reused = 0
        self._whole: dict[int, Said] = {}
        self._room = exchange_parts.INITIAL_CREDIT
        self._held: list[OpenAi] = []
        self._over = False
        self._arrival = clock()
        self._queue = 0.0
        self._first = True

    def cancel(self) -> None:
        self._end()

    def credit(self, room: int) -> None:
        self._room += room
        self._flush()

    def say(self, prompt: int, said: Said) -> None:
        """More of what one of the prompts is answered with."""
        if self._over:
            return
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
            self._answer(exchange_parts.encode_failure(self._call.id, error, executed=True), True)
            self._end()

    def _flush(self) -> None:
        if self._over:
            return
        if not self._call.streaming:
            for body in self._held:
                self._part(body, final=True)
                self._end()
            return
        while self._held and self._room > 0:
            self._part(self._held.pop(0), final=False)
        if not self._open and not self._held:
            self._part(None, final=True)
            self._end()

    def _part(self, body: OpenAi | None, *, final: bool) -> None:
        elapsed = self._clock() - self._arrival
        if self._first:
            self._first = False
            self._queue = self._queued(elapsed)
            self._begun(elapsed)
        content: OpenAi | tuple[Tensor, ...] = body or ()
        if body is not None and self._call.openai is None:
            content = text_of(body.body, streaming=self._call.streaming)
            if not content:
                return
        part = exchange_parts.encode_part(
            self._call.id,
            content,
            VERSION,
            final=final,
            queue_us=int(self._queue * 1e6),
            compute_us=int((elapsed - self._queue) * 1e6),
            batch_rows=self._sharing(),
        )
        self._room -= bytes_of(content if isinstance(content, OpenAi) else Tensors(content))
        self._answer(part, final)

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
