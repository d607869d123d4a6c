"""Chats a little with the demo's language model, through the gateway, as it speaks.

PENSTOCK_URL=… PENSTOCK_TOKEN_FILE=… python deploy/demo/chat.py [QUESTION …]
"""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import openai

MODEL = "assistant"
# The second can only be answered by who has read the first.
QUESTIONS = ("Who keeps the lighthouse?", "What is her cat called?")


@dataclass(frozen=True)
class Took:
    """Seconds to the first text, and what the answer's usage says in tokens."""

    first: float
    prompt: int
    cached: int
    answer: int


def main() -> None:
    url, file = os.environ.get("PENSTOCK_URL"), os.environ.get("PENSTOCK_TOKEN_FILE")
    if not url or not file:
        sys.exit("set PENSTOCK_URL and PENSTOCK_TOKEN_FILE; `penstock up` does so for its --then")
    token = Path(file).read_text().strip()
    messages: list[dict[str, str]] = []
    with openai.OpenAI(base_url=f"{url}/v1", api_key=token) as client:
        for question in sys.argv[1:] or QUESTIONS:
            messages.append({"role": "user", "content": question})
            print(f"{'you':>11}  {question}\n{MODEL:>11}  ", end="", flush=True)
            answer, took = say(client, messages)
            messages.append({"role": "assistant", "content": answer})
            print(
                f"\n{'':11}  {took.prompt} tokens read, {took.cached} of them from the cache;"
                f" the first word after {took.first * 1000:.0f} ms, {took.answer} tokens in all"
            )


def say(client: openai.OpenAI, messages: list[dict[str, str]]) -> tuple[str, Took]:
    """Prints the answer as it comes."""
    began = time.perf_counter()
    first = 0.0
    said: list[str] = []
    stream = client.chat.completions.create(
        model=MODEL,
        messages=messages,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    for chunk in stream:
        text = "".join(choice.delta.content or "" for choice in chunk.choices)
        if text and not first:
            first = time.perf_counter() - began
        said.append(text)
        print(text, end="", flush=True)
    usage = chunk.usage
    details = usage.prompt_tokens_details
    return "".join(said), Took(
        first, usage.prompt_tokens, details.cached_tokens or 0, usage.completion_tokens
    )


if __name__ == "__main__":
    main()
