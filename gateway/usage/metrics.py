"""What tenants use, as metrics of a worker."""

from collections.abc import Callable

from gateway.metrics import Labelled, Totals
from gateway.usage.accounts import Accounts
from gateway.usage.value import UNITS

LABELS = ("tenant", "model")


def register(totals: Totals, accounts: Accounts) -> None:
    """Adds a counter for each unit; tenants that the configuration doesn't name are "other"."""
    for unit in UNITS:
        words = unit.replace("_", " ")
        totals.add_labelled(
            f"penstock_usage_{unit}", f"What tenants used: {words}.", LABELS, _of(accounts, unit)
        )
    totals.add(
        "penstock_usage_records_dropped",
        "Counts of usage and of budgets that were not recorded, until the next that are.",
        lambda: accounts.written.dropped + accounts.spent.dropped + accounts.spending.dropped,
    )


def _of(accounts: Accounts, unit: str) -> Callable[[], Labelled]:
    def values() -> Labelled:
        return {key: counts[unit] for key, counts in accounts.usage.shown().items()}

    return values
