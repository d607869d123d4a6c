"""What is valid in a route and may not be what was meant: said when it is loaded."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from protos.route.document import Spec
from protos.strict_yaml import Path
from routing.rules.loaded import Loaded
from routing.rules.rule import in_order, rules_of


def notes_of(routes: Iterable[Loaded]) -> list[str]:
    """A sentence for each, with file and line, in the order of both."""
    routes = tuple(routes)
    found = sorted(
        (each.source, each.document.line(path), note)
        for each in routes
        for path, note in chain(_notes(each.route.spec), _ways_around(each.route.spec, routes))
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
    # Of one arm nobody expects to choose another.
    if spec.pins == "arms" and len(spec.backends) > 1:
        for index, arm in enumerate(spec.backends):
            if not arm.version:
                yield (
                    ("spec", "backends", index),
                    f"backends: {arm.name} has no version that clients could ask for;"
                    " with `pins: any` they may ask for every one",
                )


def _ways_around(spec: Spec, routes: Sequence[Loaded]) -> Iterator[tuple[Path, str]]:
    """Models behind a privacy policy that may be asked for by their own names, without one."""
    if spec.privacy is None:
        return
    arms = [("backends", index, arm.name, arm.model) for index, arm in enumerate(spec.backends)]
    arms += [("mirror", index, each.backend, each.model) for index, each in enumerate(spec.mirror)]
    for block, index, name, model in arms:
        if not _redacted(model, routes):
            yield (
                ("spec", block, index),
                f"{block}: the privacy policy is passed by who asks for {model}, the model of"
                f" {name}, by its own name; a route for that name or scopes without it prevent it",
            )


def _redacted(model: str, routes: Sequence[Loaded]) -> bool:
    """Whether all requests for the model come to a route with a privacy policy."""
    private = {each.name for each in routes if each.route.spec.privacy is not None}
    for rule in in_order(rule for each in routes for rule in rules_of(each)):
        if rule.model.matches(model):
            if rule.route not in private:
                return False
            if not rule.conditions and any(str(tenant) == "*" for tenant in rule.tenants):
                return True
    return False
