"""How often generated tests are run: a little with all tests, more and at random by `make fuzz`."""

import os

from hypothesis import settings

TIMES = int(os.environ.get("PENSTOCK_FUZZ_TIMES", "1"))
LIMIT = 300 * TIMES  # seconds that a test may take


def bounded(examples: int, steps: int) -> settings:
    """Settings of a state machine: the same examples in every run, unless there are to be more."""
    return settings(
        deadline=None,
        database=None,
        derandomize=TIMES == 1,
        max_examples=examples * TIMES,
        stateful_step_count=steps,
    )
