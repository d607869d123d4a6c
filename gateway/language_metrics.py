"""What engines and servers of language models tell of themselves, and picks for their sake."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from gateway.metrics import Labelled, Totals
from protos import discovery_pb2 as pb
from routing.affinity import Affinity

MOST_ADAPTERS = 100  # of one instance's model; more are "other"
OTHER = "other"
OF_ENGINES = ("backend", "model")


def register_picks(totals: Totals, affinity: Affinity) -> None:
    """Adds how a worker's picks among endpoints that keep prompts came out."""
    totals.add_labelled(
        "penstock_affinity_picks",
        "Picks of language models by whether what an endpoint had kept decided.",
        ("outcome",),
        lambda: {
            ("kept",): affinity.kept,
            ("passed_over",): affinity.passed_over,
            ("unknown",): affinity.unknown,
        },
    )


class _Told(NamedTuple):
    kind: str
    name: str
    text: str
    value: Callable[[pb.LanguageModel], float]


TOLD = (
    _Told("gauge", "waiting", "Answers that wait for their turn.", lambda m: m.waiting),
    _Told("gauge", "running", "Answers that are computed together.", lambda m: m.running),
    _Told(
        "gauge",
        "cache_use_ratio",
        "Share of the cache of keys and values that is in use.",
        lambda m: m.cache_use,
    ),
    _Told(
        "counter",
        "preemptions",
        "Answers that gave their cache to others and were computed again.",
        lambda m: m.preemptions,
    ),
    _Told("counter", "prompt_tokens", "Tokens of prompts.", lambda m: m.prompt_tokens),
    _Told("counter", "cached_tokens", "Of those, found in the cache.", lambda m: m.cached_tokens),
    _Told("counter", "drafted_tokens", "Tokens guessed ahead.", lambda m: m.drafted_tokens),
    _Told("counter", "accepted_tokens", "Of those, right.", lambda m: m.accepted_tokens),
)


def register_engines(totals: Totals, leases: Callable[[], Iterable[pb.Lease]]) -> None:
    """Adds what backends' beats tell of their models; each series ends with its lease.

    Counters begin anew with a backend, under the instance's name.
    """

    def models() -> Iterator[tuple[str, pb.LanguageModel]]:
        for lease in leases():
            for model in lease.beat.load.language:
                yield lease.beat.instance, model

    def read(told: _Told) -> Callable[[], Labelled]:
        return lambda: {(at, model.model): told.value(model) for at, model in models()}

    for told in TOLD:
        add = totals.add_gauge if told.kind == "gauge" else totals.add_labelled
        add(f"penstock_llm_{told.name}", told.text, OF_ENGINES, read(told))

    def generated() -> Labelled:
        return {
            (at, model.model, adapter): tokens
            for at, model in models()
            for adapter, tokens in _bounded(model.generated_tokens.items())
        }

    def loaded() -> Labelled:
        return {
            (at, model.model, name.partition(":")[2] or name): 1.0
            for at, model in models()
            for name in islice(model.adapters, MOST_ADAPTERS)
        }

    by_adapter = (*OF_ENGINES, "adapter")
    totals.add_labelled(
        "penstock_llm_generated_tokens",
        "Tokens generated; the adapter is empty for the model itself.",
        by_adapter,
        generated,
    )
    totals.add_gauge("penstock_llm_adapter_loaded", "1 for each in memory.", by_adapter, loaded)


def _bounded(tokens: Iterable[tuple[str, int]]) -> Iterable[tuple[str, int]]:
    """By adapter, the first so many by name, and the others together."""
    ordered = sorted(tokens)
    rest = sum(count for _, count in ordered[MOST_ADAPTERS:])
    return [*ordered[:MOST_ADAPTERS], *([(OTHER, rest)] if rest else [])]
