"""Every kind of identifier that Penstock knows: a file a family.

A file that is put here is found by itself; it defines `RECOGNISERS`.
"""

import pkgutil
from functools import cache
from importlib import import_module

from policies.pii.recogniser import Recogniser


@cache
def built_in() -> tuple[Recogniser, ...]:
    """The recognisers of all files of this package, in the order of the files' names."""
    found: list[Recogniser] = []
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        found += import_module(f"{__name__}.{module.name}").RECOGNISERS
    return tuple(found)
