"""How much of people's data is found, and what is taken for it: `python -m benchmarks.pii_quality`.

The texts are those of the tests, many more of them: identifiers made by their rules in sentences of
six languages, in disguise too, and what machines and shops write. A value is found if one finding
covers it, whatever it is called; a line of machines is taken if there is any finding in it.
"""

import argparse
import random
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.table import Table

from policies.pii.detector import Detector
from policies.pii.redactor import Redactor
from policies.pii.settings import Policy
from tests.policies.pii.disguises import DISGUISES
from tests.policies.pii.identifiers import IDENTIFIERS
from tests.policies.pii.impostors import MAKERS, impostor
from tests.policies.pii.machines import LINES
from tests.policies.pii.sentences import around, person
from tests.policies.pii.test_quality import DISGUISED

Row = tuple[str, int, int]  # name, hits, tries


def covered(detector: Detector, text: str, value: str) -> bool:
    at = text.rindex(value)
    end = at + len(value)
    return any(span.start <= at and end <= span.end for span in detector.find(text))


def found(detector: Detector, count: int, seed: int) -> Iterator[Row]:
    for entity in IDENTIFIERS:
        rng = random.Random(f"{entity} {seed}")
        hits = sum(covered(detector, *person(entity, rng)) for _ in range(count))
        yield entity, hits, count


def disguised(detector: Detector, count: int, seed: int) -> Iterator[Row]:
    for name, disguise in DISGUISES.items():
        hits = tries = 0
        for entity in DISGUISED:
            rng = random.Random(f"{name} {entity} {seed}")
            for _ in range(max(1, count // 8)):
                value = disguise(IDENTIFIERS[entity](rng), rng)
                hits += covered(detector, around(entity, value, rng), value)
                tries += 1
        yield name, hits, tries


def taken(detector: Detector, count: int, seed: int) -> Iterator[Row]:
    makers: dict[str, Callable[[random.Random], str]] = dict(LINES)
    for kind in MAKERS:
        makers[kind] = lambda rng, kind=kind: impostor(kind, rng)
    for name, make in makers.items():
        rng = random.Random(f"{name} {seed}")
        yield name, sum(bool(detector.find(make(rng))) for _ in range(count)), count


def show(title: str, column: str, rows: Iterator[Row]) -> None:
    table = Table(title, column, "of", "share", box=None)
    for heading in table.columns[1:]:
        heading.justify = "right"
    hits = tries = 0
    for name, hit, tried in rows:
        hits, tries = hits + hit, tries + tried
        table.add_row(name, f"{hit:,}", f"{tried:,}", f"{hit / tried:.2%}")
    table.add_row("all", f"{hits:,}", f"{tries:,}", f"{hits / tries:.3%}", style="bold")
    Console().print(table)
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="texts of each kind")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    detector = Redactor(Policy(), bytes(32)).detector
    show("people's data", "found", found(detector, options.count, options.seed))
    show("in disguise", "found", disguised(detector, options.count, options.seed))
    show("what only looks like it", "taken", taken(detector, options.count, options.seed))


if __name__ == "__main__":
    main()
