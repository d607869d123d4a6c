"""The fields that OpenAI's API has: what may stand in them, and which are no text."""

from collections.abc import Mapping
from typing import NamedTuple

# Values that name a form and not a thing; under other keys they are text like any other.
CLOSED: dict[str, frozenset[str]] = {
    "role": frozenset({"system", "developer", "user", "assistant", "tool", "function"}),
    "type": frozenset(
        {
            *("text", "image_url", "input_audio", "file", "refusal", "function", "custom"),
            *("json_object", "json_schema", "string", "number", "integer", "boolean", "object"),
            *("array", "null", "content", "allowed_tools"),
        }
    ),
    "object": frozenset(
        {
            *("chat.completion", "chat.completion.chunk", "text_completion"),
            *("list", "embedding"),
        }
    ),
    "finish_reason": frozenset(
        {"stop", "length", "tool_calls", "content_filter", "function_call", "abort"}
    ),
    "encoding_format": frozenset({"float", "base64"}),
    "detail": frozenset({"auto", "low", "high"}),
    "tool_choice": frozenset({"none", "auto", "required"}),
}


class Place(NamedTuple):
    """Where in an object one is: the API's own numbers there, and the places within that have any.

    The numbers count, date, or name tokens.
    """

    counts: frozenset[str] = frozenset()
    inner: Mapping[str, "Place"] = {}


_COUNTED = """
    created seed max_tokens max_completion_tokens min_tokens n best_of top_k dimensions
    stop_token_ids
"""
NOWHERE = Place()
_DETAILS = Place(frozenset({"cached_tokens", "reasoning_tokens", "audio_tokens"}))
USAGE = Place(
    frozenset({"prompt_tokens", "completion_tokens", "total_tokens"}),
    {"prompt_tokens_details": _DETAILS, "completion_tokens_details": _DETAILS},
)
_INDEX = frozenset({"index"})
CALLS = Place(_INDEX)
MESSAGE = Place(inner={"tool_calls": CALLS})
CHOICE = Place(_INDEX, {"message": MESSAGE, "delta": MESSAGE})
VECTORS = Place(_INDEX)
TOP = Place(
    frozenset(_COUNTED.split()),
    {"choices": CHOICE, "usage": USAGE, "messages": MESSAGE, "data": VECTORS},
)

# Keys of the API itself; others are written by people, as those of metadata and of schemas are.
_WORDS = """
    model messages role content name type text image_url url detail input_audio data format file
    file_data file_id filename tool_calls tool_call_id id function arguments prompt suffix echo
    best_of input encoding_format user metadata store stop stream stream_options include_usage
    include_obfuscation temperature top_p min_p presence_penalty frequency_penalty
    repetition_penalty logit_bias logprobs top_logprobs tools tool_choice description parameters
    parallel_tool_calls response_format json_schema schema strict properties required
    additionalProperties items enum service_tier reasoning_effort verbosity modalities prediction
    safety_identifier prompt_cache_key choices message delta finish_reason stop_reason refusal
    reasoning_content reasoning annotations audio usage prompt_tokens_details
    completion_tokens_details object system_fingerprint embedding function_call functions
    chat_template_kwargs ignore_eos index
"""
KEYS = TOP.counts | USAGE.counts | _DETAILS.counts | frozenset(_WORDS.split())

# What spells out a text beside it, in replies: its tokens, their bytes and their ids.
SPELLING = frozenset(
    {
        *("logprobs", "top_logprobs", "prompt_logprobs", "completion_probabilities"),
        *("token_ids", "prompt_token_ids", "output_ids"),
        *("input_token_logprobs", "output_token_logprobs"),
        *("input_top_logprobs", "output_top_logprobs"),
    }
)
