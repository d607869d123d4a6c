"""Keeps what was answered, and forgets what proved wrong."""

import logging
from collections.abc import Callable, Sequence
from functools import partial

from policies.cache.counts import CacheCounts, Unkept
from policies.cache.entry import encode
from policies.cache.query import Query
from policies.cache.recording import Ended
from policies.cache.stores import Stores
from policies.cache.verify import Verdict
from protos.values import Part

log = logging.getLogger(__name__)


class Keeper:
    """`revision` gives what all instances of a model version report, `wall` Unix time."""

    def __init__(
        self,
        stores: Stores,
        counts: CacheCounts,
        revision: Callable[[str, str], str | None],
        wall: Callable[[], float],
    ) -> None:
        self._stores = stores
        self._counts = counts
        self._revision = revision
        self._wall = wall

    def keeps(self, query: Query) -> Ended:
        """Keeps the answer to the request when it is complete, or counts why not."""
        # No function of its own: annotations are evaluated each time that one is defined.
        return partial(self._ended, query)

    def judges(self, query: Query) -> Verdict:
        """Counts whether the kept answer is right, and forgets it if not."""

        return partial(self._judged, query)

    def _ended(self, query: Query, parts: Sequence[Part] | None, why: Unkept | None) -> None:
        if parts is not None:
            why = self._keep(query, parts)
        if why is not None:
            self._counts.unkept[query.route.name, why] += 1
        else:
            self._counts.kept[query.route.name] += 1

    def _judged(self, query: Query, right: bool) -> None:
        if not self._same_revision(query):
            return
        self._counts.verified[query.route.name] += 1
        if right:
            return
        self._counts.wrong[query.route.name] += 1
        self._stores.memory.forget(query.key)
        if self._stores.shared is not None:
            self._stores.shared.forget(query.key)

    def _keep(self, query: Query, parts: Sequence[Part]) -> Unkept | None:
        stores, ttl = self._stores, query.rule.ttl
        try:
            entry = encode(parts, self._wall(), ttl)
        except Exception as failure:  # an answer is not worth less for not being kept
            log.debug("an answer can't be kept: %s", type(failure).__name__)
            return "form"
        # While it was executed another revision may have been loaded, which may have answered.
        if not self._same_revision(query):
            return "revision"
        if len(entry) > stores.most or not stores.memory.keep(query.key, entry, ttl):
            return "size"
        if stores.shared is not None and query.rule.mode == "enforce":
            stores.shared.keep(query.key, entry, ttl)
        return None

    def _same_revision(self, query: Query) -> bool:
        return self._revision(query.target.model, query.target.version) == query.revision

    def __repr__(self) -> str:
        return f"<Keeper {self._stores.memory}>"
