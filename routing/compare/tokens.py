"""Streamed text: the joined text by the rule of `text`, and where the streams part.

How a stream is cut into parts is no difference: it depends on time as much as on the model.
"""

from protos.route.mirror import Compare
from routing.compare.edits import common_prefix
from routing.compare.outputs import Answer
from routing.compare.text import Texts, compare_texts, texts_of
from routing.shadow.record import Outcome


def compare(primary: Answer, candidate: Answer, how: Compare) -> Outcome:
    """`first_divergence` is the index of the first differing character, if there is one.

    `common_prefix` is the share of the longer text before it; of several outputs the least counts.
    Raises Settled.
    """
    texts = [
        Texts(output.name, ["".join(output.primary)], ["".join(output.candidate)])
        for output in texts_of(primary, candidate)
    ]
    outcome = compare_texts(texts, how)
    measures = {
        **outcome.measures,
        "parts_primary": float(len(primary)),
        "parts_candidate": float(len(candidate)),
        **_divergence(texts),
    }
    return Outcome(outcome.agrees, outcome.distance, measures, outcome.reason)


def _divergence(texts: list[Texts]) -> dict[str, float]:
    least = 1.0
    at: int | None = None
    for output in texts:
        (mine,), (theirs,) = output.primary, output.candidate
        if mine == theirs:
            continue
        shared = common_prefix(mine, theirs)
        least = min(least, shared / max(len(mine), len(theirs)))
        at = shared if at is None else min(at, shared)
    measures = {"common_prefix": least}
    if at is not None:
        measures["first_divergence"] = float(at)
    return measures
