"""Answers in OpenAI's form: chunks of a stream, and whole ones; chats and completions."""

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

from backends.llm.choice import Said
from backends.llm.sampling import Likely
from protos.values import Chat, JsonObject, OpenAi, Prompt

# The text of one token, for log-probabilities.
Spell = Callable[[int], str]


class Form:
    """One answer: what its parts have in common."""

    def __init__(self, payload: OpenAi, model: str, spell: Spell) -> None:
        self._chat = isinstance(payload, Chat)
        self._make: type[OpenAi] = Chat if self._chat else Prompt
        self._spell = spell
        self._offsets: dict[int, int] = {}  # of completions' tokens in the text
        self._begun: set[int] = set()
        self._head: dict[str, Any] = {
            "id": f"{'chatcmpl' if self._chat else 'cmpl'}-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": model,
        }

    def chunk(self, said: Said) -> OpenAi:
        """One choice's next text; the first of a chat has the role beside it."""
        if self._chat:
            delta: dict[str, Any] = {}
            if said.choice not in self._begun:
                self._begun.add(said.choice)
                delta["role"] = "assistant"
            if said.text or delta:
                delta["content"] = said.text
            return self._of("chat.completion.chunk", [self._choice(said, delta=delta)])
        return self._of("text_completion", [self._choice(said, text=said.text)])

    def usage(self, usage: JsonObject) -> OpenAi:
        """The last chunk of a stream, what it took."""
        kind = "chat.completion.chunk" if self._chat else "text_completion"
        return self._of(kind, [], usage)

    def whole(self, said: Sequence[Said], usage: JsonObject) -> OpenAi:
        """All choices, each with all of its text."""
        if self._chat:
            choices = [
                self._choice(each, message={"role": "assistant", "content": each.text})
                for each in said
            ]
            return self._of("chat.completion", choices, usage)
        choices = [self._choice(each, text=each.text) for each in said]
        return self._of("text_completion", choices, usage)

    def _of(self, kind: str, choices: list[JsonObject], usage: JsonObject | None = None) -> OpenAi:
        body = {**self._head, "object": kind, "choices": choices}
        if usage is not None:
            body["usage"] = usage
        return self._make(body)

    def _choice(self, said: Said, **content: Any) -> JsonObject:
        logprobs: JsonObject | None = None
        if said.likely:
            logprobs = (
                {"content": [self._of_chat(each) for each in said.likely]}
                if self._chat
                else self._of_completion(said)
            )
        return {
            "index": said.choice,
            **content,
            "logprobs": logprobs,
            "finish_reason": said.finish,
        }

    def _of_chat(self, likely: Likely) -> JsonObject:
        top = [self._token(token, logprob) for token, logprob in likely.top]
        return {**self._token(likely.token, likely.logprob), "top_logprobs": top}

    def _token(self, token: int, logprob: float) -> JsonObject:
        text = self._spell(token)
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}

    def _of_completion(self, said: Said) -> JsonObject:
        texts = [self._spell(each.token) for each in said.likely]
        offsets: list[int] = []
        at = self._offsets.get(said.choice, 0)
        for text in texts:
            offsets.append(at)
            at += len(text)
        self._offsets[said.choice] = at
        return {
            "tokens": texts,
            "token_logprobs": [each.logprob for each in said.likely],
            "top_logprobs": [
                {self._spell(token): logprob for token, logprob in each.top} for each in said.likely
            ],
            "text_offset": offsets,
        }


def usage_of(prompt: int, completion: int, cached: int) -> JsonObject:
    """Tokens of all prompts and choices; `cached` of the prompts' were not computed anew."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
