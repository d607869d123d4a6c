"""What spells a text of OpenAI's API beside the text itself: tokens, their bytes, their ids.

Hiding a name in a text helps nobody if the tokens that it was made of stand beside it. A request
for them is refused; where a model gives them unasked, they are left out (`protos/object_text.py`).
"""

from protos.errors import invalid
from protos.values import OpenAi

# Of OpenAI's API, vLLM, SGLang and llama.cpp. The number 0 asks a completion for the tokens that it
# took; of alternatives it asks for none.
_TOKENS = (
    *("logprobs", "prompt_logprobs", "return_logprob"),
    *("return_token_ids", "return_tokens_as_token_ids", "return_tokens"),
)
_ALTERNATIVES = ("top_logprobs", "n_probs")


def refuse_spelling(payload: OpenAi) -> None:
    """Raises INVALID for a request that asks for tokens beside the text."""
    for field in (*_TOKENS, *_ALTERNATIVES):
        asked = payload.body.get(field)
        if asked is None or asked is False or (field in _ALTERNATIVES and asked == 0):
            continue
        raise invalid(
            f"{field}: spells out the text, which a privacy policy redacts here", param=field
        )
