"""What spells a text of OpenAI's API beside the text itself: tokens, their bytes, their ids.

Hiding a name in a text helps nobody if the tokens that it was made of stand beside it. A request
for them is refused; where a model gives them unasked, they are left out.
"""

from typing import Any, TypeVar

from protos.errors import invalid
from protos.values import OpenAi

Object = TypeVar("Object", bound=OpenAi)

_ASKED = ("logprobs", "prompt_logprobs", "return_token_ids", "return_tokens_as_token_ids")
_GIVEN = frozenset({"logprobs", "prompt_logprobs", "token_ids", "prompt_token_ids"})


def refuse_spelling(payload: OpenAi) -> None:
    """Raises INVALID for a request that asks for tokens beside the text."""
    for field in _ASKED:
        asked = payload.body.get(field)
        # The number 0 asks a completion for the tokens that it took.
        if asked is not None and asked is not False:
            raise invalid(
                f"{field}: spells out the text, which a privacy policy redacts here", param=field
            )


def without_spelling(payload: Object) -> Object:
    """The reply without them; the same object where there are none."""
    body = _without(payload.body)
    choices = body.get("choices")
    if isinstance(choices, list):
        new = [_without(each) if isinstance(each, dict) else each for each in choices]
        if any(after is not before for after, before in zip(new, choices, strict=True)):
            body = {**body, "choices": new}
    return payload if body is payload.body else type(payload)(body)


def _without(value: Any) -> Any:
    if _GIVEN.isdisjoint(value) or not any(value.get(field) for field in _GIVEN):
        return value
    return {key: None if key in _GIVEN else inner for key, inner in value.items()}
