"""A reader: a process that holds a model and answers until its standard input ends.

`python -m policies.pii.deep.process MODEL ENTITY…`. It says `{}` when it is ready, or what kept it
from that as `{"failed": …}`; then lists of texts come in, and for each text its findings go out, or
what kind of error kept them from being found.
"""

import os
import sys
from collections.abc import Sequence

from policies.pii.deep.frames import frame, read_blocking
from policies.pii.deep.loading import load
from policies.pii.span import Span


def main(name: str, entities: Sequence[str]) -> None:
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what libraries print is no answer
    try:
        model = load(name, entities)
    except ValueError as error:
        answers.write(frame({"failed": str(error)}))
        return
    answers.write(frame({}))
    while (texts := read_blocking(requests)) is not None:
        try:
            found = model.find(texts)
        except Exception as error:  # its text may quote what it was given
            answers.write(frame({"failed": type(error).__name__}))
        else:
            answers.write(frame([[_told(span) for span in spans] for spans in found]))


def _told(span: Span) -> tuple[int, int, str, float]:
    return span.start, span.end, span.entity, span.score


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
