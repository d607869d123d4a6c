"""What privacy policies found and refused, as metrics."""

from gateway.metrics import Totals
from policies.privacy import Privacy


def register(totals: Totals, privacy: Privacy) -> None:
    """Adds the counters. Labels are names of routes and entities, which operators write."""

    def found() -> dict[tuple[str, ...], float]:
        return {
            (route, entity, mode): count
            for (route, mode), counts in list(privacy.found.items())
            for entity, count in list(counts.items())
        }

    totals.add_labelled(
        "penstock_privacy_found",
        "Values of people found in requests and replies: hidden, or counted in mode observe.",
        ("route", "entity", "mode"),
        found,
    )
    totals.add_labelled(
        "penstock_privacy_refused",
        "Requests and replies that a privacy policy refused, or couldn't read.",
        ("route",),
        lambda: {(route,): count for route, count in list(privacy.refused.items())},
    )
