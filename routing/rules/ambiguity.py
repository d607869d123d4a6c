"""Finds rules between which nothing decides, so that no request's way depends on chance."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations

from protos.strict_yaml import ConfigError
from routing.rules.loaded import Loaded
from routing.rules.rule import Rule, rules_of


def ambiguities(documents: Iterable[Loaded]) -> Iterator[ConfigError]:
    """One error for each pair of rules of different routes that are equally specific and meet."""
    alike: dict[tuple[object, ...], list[Rule]] = defaultdict(list)
    for loaded in documents:
        for rule in rules_of(loaded):
            # Rules with different exact models never meet; there may be thousands of those.
            model = rule.model.head if rule.model.exact else None
            alike[rule.specificity, model].append(rule)
    for rules in alike.values():
        for one, other in combinations(rules, 2):
            if one.route != other.route and one.meets(other):
                yield ConfigError(
                    one.source,
                    one.line,
                    f"match: as specific as the rule of {other.route} in"
                    f" {other.source}:{other.line}, and some requests fit both",
                )
