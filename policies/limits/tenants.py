"""Whom a limit is for."""

from collections.abc import Sequence

KEPT = 10_000  # tenants of which it is known


class Tenants:
    """`patterns` are names in which one `*` stands for any run of letters."""

    __slots__ = ("_all", "_known", "_patterns")

    def __init__(self, patterns: Sequence[str]) -> None:
        self._all = "*" in patterns
        self._patterns = tuple(pattern.partition("*") for pattern in patterns)
        self._known: dict[str, bool] = {}

    def __contains__(self, tenant: str) -> bool:
        if self._all:
            return True
        known = self._known.get(tenant)
        if known is None:
            if len(self._known) >= KEPT:
                self._known.clear()
            known = self._known[tenant] = any(self._match(tenant))
        return known

    def _match(self, tenant: str) -> list[bool]:
        return [
            tenant == head
            if not star
            else len(tenant) >= len(head) + len(tail)
            and tenant.startswith(head)
            and tenant.endswith(tail)
            for head, star, tail in self._patterns
        ]
