"""What the response cache counts, as metrics."""

from collections.abc import Mapping

from gateway.metrics import Totals
from policies.cache.filter import ResponseCache


def register(totals: Totals, cache: ResponseCache) -> None:
    """Adds the counters of a worker's cache."""
    counts, memory, shared = cache.counts, cache.stores.memory.entries, cache.stores.shared
    verifier = cache.verifier
    totals.add_labelled(
        "penstock_cache_requests",
        "Requests to routes that keep answers; where the mode is observe, what would have been.",
        ("route", "mode", "outcome"),
        lambda: counts.requests,
    )
    totals.add_labelled(
        "penstock_cache_bypasses",
        "Requests for which no answer was looked for or kept, by why.",
        ("route", "reason"),
        lambda: counts.bypassed,
    )
    totals.add_labelled(
        "penstock_cache_unkept",
        "Answers that were not kept, by why.",
        ("route", "reason"),
        lambda: counts.unkept,
    )
    _add_by_route(totals, "penstock_cache_kept", "Answers that were kept.", counts.kept)
    _add_by_route(
        totals, "penstock_cache_verified", "Kept answers compared with new ones.", counts.verified
    )
    _add_by_route(
        totals, "penstock_cache_wrong_hits", "Kept answers that differed from it.", counts.wrong
    )
    totals.add(
        "penstock_cache_unverified",
        "Hits that were to be executed again and were not, or failed.",
        lambda: verifier.dropped + verifier.failed,
    )
    totals.add(
        "penstock_cache_evictions", "Answers that made room for others.", lambda: memory.evictions
    )
    totals.add_gauge(
        "penstock_cache_bytes", "Memory that kept answers take.", (), lambda: {(): memory.bytes}
    )
    totals.add_gauge("penstock_cache_entries", "Answers in memory.", (), lambda: {(): len(memory)})
    totals.add_gauge(
        "penstock_cache_waiting",
        "Requests that wait for an execution which equal ones may share.",
        (),
        lambda: {(): cache.waiting},
    )
    if shared is not None:
        totals.add(
            "penstock_cache_store_failures",
            "Calls that the shared store didn't answer.",
            lambda: shared.failures,
        )
        totals.add(
            "penstock_cache_store_refused",
            "Entries of the shared store that were not what a gateway wrote under their name.",
            lambda: shared.refused,
        )
        totals.add(
            "penstock_cache_store_dropped",
            "Entries that were not written to the shared store, as too many waited.",
            lambda: shared.dropped,
        )


def _add_by_route(totals: Totals, name: str, text: str, counts: Mapping[str, int]) -> None:
    totals.add_labelled(
        name, text, ("route",), lambda: {(route,): number for route, number in counts.items()}
    )
