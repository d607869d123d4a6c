"""Tensors to and from prompts: an OpenAI model as `infer` and `generate` ask it.

It takes one text and gives one, in parts where the client streams; the request's parameters are
those of `/v1/completions` (`max_tokens`, `temperature`, …).
"""

from typing import Any

from protos.arrays import join_bytes
from protos.errors import invalid
from protos.exchange_calls import Call
from protos.openai.said import texts_of
from protos.values import JsonObject, Prompt, Signature, Tensor, TensorSpec

INPUT = "text_input"
OUTPUT = "text_output"

SIGNATURE = Signature(
    "openai",
    (TensorSpec(INPUT, "BYTES", (1,)),),
    (TensorSpec(OUTPUT, "BYTES", (1,)),),
    decoupled=True,
    openai=True,
)

# What the protocol's parameters mean here already (protos/schedule.py).
_OURS = ("timeout", "priority")
# What the tensors and the faces decide.
_FIXED = ("model", "prompt", "stream", "stream_options", "n")


def prompt_of(call: Call) -> Prompt:
    """The prompt in a call's tensors, which fit the signature; raises INVALID."""
    (text,) = call.inputs[INPUT]
    try:
        body: dict[str, Any] = {"model": call.model, "prompt": bytes(text).decode()}
    except UnicodeDecodeError:
        raise invalid(f'inputs "{INPUT}": is not UTF-8') from None
    for name, value in call.parameters.items():
        if name in _FIXED or name.startswith("sequence_"):
            raise invalid(f'parameters: "{name}" has no meaning for this model')
        if name not in _OURS:
            body[name] = value
    if call.streaming:
        body["stream"] = True
    return Prompt(body)


def text_of(body: JsonObject, *, streaming: bool) -> tuple[Tensor, ...]:
    """The text in an answer or a chunk; no tensor for a chunk without any."""
    text = "".join([text for _, text in texts_of(body)])
    if streaming and not text:
        return ()
    return (Tensor(OUTPUT, "BYTES", (1,), join_bytes([text.encode()])),)
