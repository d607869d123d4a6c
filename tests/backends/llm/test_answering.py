"""A call's parts: in OpenAI's form, no more than the client reads, and none after its end."""

from typing import Any

import pytest

from backends.language.parts import Parts
from backends.llm.answering import Answering
from backends.llm.choice import Said
from backends.llm.forms import Form
from protos import exchange_calls, exchange_parts
from protos.errors import Kind, PenstockError
from protos.values import Chat, OpenAi, Part, Prompt


class Caller:
    """A call, and what it was answered."""

    def __init__(self, *, streaming: bool, chat: bool = True, prompts: int = 1, n: int = 1) -> None:
        payload: OpenAi = Chat({"messages": []}) if chat else Prompt({"prompt": "x"})
        self.parts: list[tuple[Part | PenstockError, bool]] = []
        self.left = self.begun = 0
        call = exchange_calls.Call(
            version="",
            request_id="",
            inputs={},
            datatypes={},
            parameters={},
            tenant="",
            traceparent="",
            priority=0,
            shadow=False,
            suspect=False,
            remaining_us=0,
            id=7,
            model="m",
            wanted=(),
            streaming=streaming,
            openai=payload,
        )
        self.taken = Answering(
            call,
            Form(payload, "m", chr),
            [3] * prompts,
            n,
            Parts(
                call,
                self._answer,
                clock=lambda: 0.0,
                sharing=lambda: 1,
                queued=lambda _: 0.0,
                begun=self._begin,
            ),
            leave=self._leave,
        )

    def _answer(self, part: bytes, final: bool) -> None:
        ((_, decoded, _),) = exchange_parts.decode_parts(exchange_parts.reply_frame([part]))
        self.parts.append((decoded, final))

    def _begin(self, elapsed: float) -> None:
        self.begun += 1

    def _leave(self) -> None:
        self.left += 1

    @property
    def bodies(self) -> list[Any]:
        return [
            part.payload.body
            for part, _ in self.parts
            if isinstance(part, Part) and isinstance(part.payload, OpenAi)
        ]


def test_a_whole_answer_has_all_choices_in_their_order() -> None:
    caller = Caller(streaming=False, n=2)
    caller.taken.say(0, Said(1, "b", 1, "stop"))
    caller.taken.say(0, Said(0, "a", 1))
    assert caller.parts == []
    caller.taken.say(0, Said(0, "c", 1, "length", final=True))
    (body,) = caller.bodies
    assert [each["message"]["content"] for each in body["choices"]] == ["ac", "b"]
    assert [each["finish_reason"] for each in body["choices"]] == ["length", "stop"]
    assert body["usage"]["completion_tokens"] == 3
    assert body["usage"]["prompt_tokens"] == 3
    assert caller.left == 1


@pytest.mark.parametrize("streaming", [True, False])
def test_an_answer_begins_with_the_first_token_whoever_waits_for_the_whole(streaming: bool) -> None:
    caller = Caller(streaming=streaming)
    caller.taken.say(0, Said(0, "", 1))  # half a character
    assert (caller.begun, caller.parts) == (1, [])
    caller.taken.say(0, Said(0, "é", 1, "stop", final=True))
    assert caller.begun == 1


def test_several_prompts_number_their_choices_one_after_the_other() -> None:
    caller = Caller(streaming=False, chat=False, prompts=2, n=2)
    for prompt in (1, 0):
        for choice in (0, 1):
            caller.taken.say(
                prompt, Said(choice, f"{prompt}{choice}", 1, "stop", final=choice == 1)
            )
    (body,) = caller.bodies
    assert [each["text"] for each in body["choices"]] == ["00", "01", "10", "11"]
    assert body["usage"]["prompt_tokens"] == 6


def test_a_stream_has_a_chunk_a_step_then_what_it_took() -> None:
    caller = Caller(streaming=True)
    caller.taken.say(0, Said(0, "a", 1))
    caller.taken.say(0, Said(0, "", 1))  # half a character
    caller.taken.say(0, Said(0, "é", 1, "stop", final=True))
    first, second, usage = caller.bodies
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "a"}
    assert second["choices"][0]["delta"] == {"content": "é"}
    assert second["choices"][0]["finish_reason"] == "stop"
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 3
    assert [final for _, final in caller.parts] == [False, False, False, True]


def test_parts_wait_for_a_client_that_doesnt_read() -> None:
    caller = Caller(streaming=True)
    caller.taken.credit(1 - exchange_parts.INITIAL_CREDIT)
    caller.taken.say(0, Said(0, "a", 1))
    caller.taken.say(0, Said(0, "b", 1, "stop", final=True))
    assert len(caller.parts) == 1
    assert caller.left == 0
    caller.taken.credit(1 << 20)
    assert len(caller.bodies) == 3
    assert caller.left == 1


def test_who_left_is_told_nothing_more() -> None:
    caller = Caller(streaming=True)
    caller.taken.cancel()
    caller.taken.cancel()
    caller.taken.say(0, Said(0, "a", 1))
    caller.taken.fail(PenstockError(Kind.MODEL_FAILED, "late"))
    assert caller.parts == []
    assert caller.left == 1


def test_a_failure_ends_it() -> None:
    caller = Caller(streaming=True)
    caller.taken.fail(PenstockError(Kind.DEADLINE, "too late"))
    ((error, final),) = caller.parts
    assert isinstance(error, PenstockError)
    assert (error.kind, final) == (Kind.DEADLINE, True)
