"""What is valid in a route and may not be what was meant: said when it is loaded."""

from collections.abc import Iterable, Iterator

from protos.route.document import Spec
from protos.strict_yaml import Path
from routing.rules.loaded import Loaded


def notes_of(routes: Iterable[Loaded]) -> list[str]:
    """A sentence for each, with file and line, in the order of both."""
    found = sorted(
        (each.source, each.document.line(path), note)
        for each in routes
        for path, note in _notes(each.route.spec)
    )
    return [f"{source}:{line}: {note}" for source, line, note in found]


def _notes(spec: Spec) -> Iterator[tuple[Path, str]]:
    if spec.cache is not None and spec.cache.scope == "route":
        yield ("spec", "cache"), "cache: the route's tenants get each other's answers"
    for index, mirror in enumerate(spec.mirror):
        if mirror.compare.payloads and (spec.privacy is None or spec.privacy.mode == "observe"):
            yield (
                ("spec", "mirror", index, "compare", "payloads"),
                "payloads: no answers are kept without a privacy policy that redacts them",
            )
    if spec.pins == "arms":
        for index, arm in enumerate(spec.backends):
            if not arm.version:
                yield (
                    ("spec", "backends", index),
                    f"backends: {arm.name} has no version that clients could ask for;"
                    " with `pins: any` they may ask for every one",
                )
