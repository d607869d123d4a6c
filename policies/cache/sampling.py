"""Whether an answer is drawn by chance, so that asking twice is asking for two answers.

Language models draw each token unless they are told otherwise: OpenAI's temperature is 1 where none
is given, whichever face asks them. With temperature 0, with one token to draw from, or with a seed,
the answer is meant to be the same each time.
"""

from collections.abc import Callable, Mapping
from typing import Any

from protos.values import Chat, Embedding, InferRequest, Prompt


def drawn(request: InferRequest, generates: Callable[[str, str], bool]) -> bool:
    """`generates` says of a model and version whether it is a language model.

    Others are functions of their input unless a temperature is given.
    """
    payload = request.payload
    if isinstance(payload, Chat | Prompt):
        return _drawn(payload.body, 1.0)
    usual = 0.0
    if not isinstance(payload, Embedding) and generates(request.model, request.version):
        usual = 1.0
    return _drawn(request.parameters, usual) if request.parameters else usual != 0.0


def _drawn(settings: Mapping[str, Any], usual: float) -> bool:
    if settings.get("seed") is not None or settings.get("top_k") == 1:
        return False
    temperature = settings.get("temperature")
    return (usual if temperature is None else temperature) != 0
