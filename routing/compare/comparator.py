"""The comparison that a route's mirror asks for."""

from collections.abc import Callable, Sequence
from functools import lru_cache

from protos.errors import PenstockError
from protos.route.mirror import Compare, Kind
from protos.values import Part
from protos.wording import quote
from routing.compare import auto, json_fields, label, scores, tensor, text, tokens
from routing.compare.outputs import Answer, answer_of
from routing.compare.settled import Settled, incomparable
from routing.shadow.record import Outcome

Comparator = Callable[[Sequence[Part], Sequence[Part]], Outcome]

KINDS: dict[Kind, Callable[[Answer, Answer, Compare], Outcome]] = {
    "auto": auto.compare,
    "tensor": tensor.compare,
    "label": label.compare,
    "scores": scores.compare,
    "json": json_fields.compare,
    "text": text.compare,
    "tokens": tokens.compare,
}


@lru_cache(256)
def comparator(how: Compare) -> Comparator:
    """Compares the parts of a primary's answer with those of a candidate's: pure, any thread's.

    It raises for no payload: outputs whose data isn't what datatype and shape say are incomparable.
    Reasons name outputs, shapes, counts and JSON Pointers, never values.
    """
    kind = KINDS[how.kind]

    def compare(primary: Sequence[Part], candidate: Sequence[Part]) -> Outcome:
        try:
            return kind(*_answers(primary, candidate, how.output), how)
        except Settled as settled:
            return settled.outcome
        except PenstockError as error:  # of protos.arrays
            return incomparable(error.message).outcome

    return compare


def _answers(
    primary: Sequence[Part], candidate: Sequence[Part], output: str
) -> tuple[Answer, Answer]:
    mine = answer_of(primary, output)
    if not mine:
        what = f"output {quote(output)}" if output else "outputs"
        raise incomparable(f"the primary's answer has no {what}")
    return mine, answer_of(candidate, output)
