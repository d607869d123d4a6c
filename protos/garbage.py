"""The garbage collector's settings of a process that serves.

A full collection walks everything that was ever imported: 40 to 60 ms in which nobody is served,
about once a second under load. What is there when start-up ends stays to the end, so it is frozen,
and collections become rarer: requests are freed by their reference counts.
"""

import gc

YOUNG = 20_000  # allocations between collections of the youngest generation; 700 by default


def settle() -> None:
    """To be called when start-up is over, and again when a model was loaded or unloaded."""
    gc.unfreeze()  # what was unloaded meanwhile must not stay
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, 10)
