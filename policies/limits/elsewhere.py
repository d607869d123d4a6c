"""What has been used of budgets beyond what this process counts: by others, and before."""

from collections.abc import Callable, Mapping

from policies.limits.allowance import LimitId

# By limit (`str(LimitId)`), name of the period, and what the key is called in records.
Uses = Mapping[tuple[str, str, str], float]
Called = Callable[[LimitId, str], str]


def _as_it_is(limit_id: LimitId, key: str) -> str:
    return key


class Elsewhere:
    """As it was last read from records; `called` says what a limit's key is called in them."""

    def __init__(self, called: Called = _as_it_is) -> None:
        self.called = called
        self.version = 0
        self._others: Uses = {}
        self._own: Uses = {}

    def learn(self, others: Uses, own: Uses) -> None:
        """What others have used, those of before a restart among them, and this process itself."""
        self._others, self._own = others, own
        self.version += 1

    def used(self, limit_id: LimitId, period: str, key: str) -> float:
        """By all: what a ledger has to know that has lost what it knew."""
        return self.by_others(limit_id, period, key) + self.by_itself(limit_id, period, key)

    def by_others(self, limit_id: LimitId, period: str, key: str) -> float:
        return self._of(self._others, limit_id, period, key)

    def by_itself(self, limit_id: LimitId, period: str, key: str) -> float:
        """What this process has had written: of a key that it has forgotten since."""
        return self._of(self._own, limit_id, period, key)

    def _of(self, uses: Uses, limit_id: LimitId, period: str, key: str) -> float:
        if not uses:
            return 0.0
        return uses.get((str(limit_id), period, self.called(limit_id, key)), 0.0)
