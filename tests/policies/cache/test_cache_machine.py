"""A cache that clients, models and a store that lies do everything to, in any order.

Each execution answers with its tenant, its input and its own number, so that every answer tells
which execution it is of, and whether that one may be given to whoever got it.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiocache import SimpleMemoryCache
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from policies.cache.s3fifo import OVERHEAD
from protos.errors import Kind, PenstockError
from protos.service import Reply
from protos.values import InferRequest
from tests.many_times import LIMIT, bounded
from tests.policies.cache.kept import Cache, heard, part, request, turns

TENANTS = ("acme", "other")
TTL = 60.0
PARTS = 3  # of a streamed answer
BROKEN = PenstockError(Kind.MODEL_FAILED, "the model failed")


class Store(SimpleMemoryCache):
    """aiocache's own; entries live as long as they say themselves."""

    async def _set(self, key: str, value: bytes, **rest: object) -> bool:
        return bool(await super()._set(key, value, ttl=None))


@dataclass(eq=False)
class Execution:
    number: int
    tenant: str
    value: int
    streaming: bool
    revision: str
    ended: float | None = None  # when it was complete
    revision_then: str = ""
    over: bool = False
    closed: int = 0
    steps: "asyncio.Queue[bool]" = field(default_factory=asyncio.Queue)


@dataclass(eq=False)
class Client:
    asked: InferRequest
    tenant: str
    value: int
    at: float
    revision: str
    task: "asyncio.Task[list[list[int]]]"


class Caching(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.executions: list[Execution] = []
        self.clients: list[Client] = []

    @initialize(
        shared=st.booleans(), budget=st.sampled_from([1 << 20, 4 * OVERHEAD, OVERHEAD // 2])
    )
    def begin(self, shared, budget) -> None:
        self.store = Store() if shared else None
        self.cache = Cache(budget=budget, shared=self.store)

    @rule(
        tenant=st.sampled_from(TENANTS),
        value=st.integers(1, 3),
        streaming=st.booleans(),
        cache_control=st.sampled_from(["", "", "", "no-cache", "no-store", "max-age=10"]),
    )
    def ask(self, tenant, value, streaming, cache_control) -> None:
        asked = request(value, tenant=tenant, streaming=streaming, cache_control=cache_control)

        async def answered() -> list[list[int]]:
            return await heard(await self.cache(asked, self._execute))

        task = self.loop.create_task(answered())
        now, revision = self.cache.now, self.cache.revision
        self.clients.append(Client(asked, tenant, value, now, revision, task))
        self._settle()

    @precondition(lambda self: self._running())
    @rule(data=st.data(), good=st.sampled_from([True, True, True, False]))
    def an_execution_goes_on(self, data, good) -> None:
        running = data.draw(st.sampled_from(self._running()))
        running.steps.put_nowait(good)
        self._settle()

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def a_client_leaves(self, data) -> None:
        data.draw(st.sampled_from(self.clients)).task.cancel()
        self._settle()

    @rule(seconds=st.sampled_from([0.5, 9.0, 59.0, 61.0]))
    def time_passes(self, seconds) -> None:
        self.cache.now += seconds

    @rule(revision=st.sampled_from(["rev", "next"]))
    def a_model_is_loaded_anew(self, revision) -> None:
        self.cache.revision = revision

    @precondition(lambda self: self.store is not None and self.store._cache)
    @rule(data=st.data(), how=st.sampled_from(["flip", "cut", "swap", "no bytes"]))
    def somebody_writes_into_the_store(self, data, how) -> None:
        entries = self.store._cache
        name = data.draw(st.sampled_from(sorted(entries)))
        entry = entries[name]
        if not isinstance(entry, bytes) or not entry:
            return
        if how == "flip":
            place = data.draw(st.integers(0, len(entry) - 1))
            entries[name] = entry[:place] + bytes([entry[place] ^ 1]) + entry[place + 1 :]
        elif how == "cut":
            entries[name] = entry[: data.draw(st.integers(0, len(entry) - 1))]
        elif how == "swap":
            other = data.draw(st.sampled_from(sorted(entries)))
            entries[name], entries[other] = entries[other], entry
        else:
            entries[name] = 7

    @rule()
    def this_gateway_forgets(self) -> None:
        """And asks the store, as another one would."""
        self.cache.memory.entries.clear()

    @invariant()
    def every_answer_is_of_an_execution_that_may_be_given(self) -> None:
        for client in [each for each in self.clients if each.task.done()]:
            self.clients.remove(client)
            if client.task.cancelled():
                continue
            if (error := client.task.exception()) is not None:
                assert error.kind in (Kind.MODEL_FAILED, Kind.NOT_CACHED)
                continue
            parts = client.task.result()
            execution = self.executions[parts[0][2]]
            tenant = TENANTS.index(client.tenant)
            expected = [[tenant, client.value, execution.number, at] for at in range(len(parts))]
            assert parts == expected
            assert len(parts) == (PARTS if execution.streaming else 1)
            assert execution.tenant == client.tenant
            assert execution.streaming == client.asked.context.streaming
            assert execution.revision == client.revision
            assert execution.ended is not None
            if client.asked.context.timeline.cache == "hit":
                assert client.at - execution.ended < TTL
                assert execution.revision_then == execution.revision

    @invariant()
    def memory_keeps_to_its_budget(self) -> None:
        if hasattr(self, "cache"):
            entries = self.cache.memory.entries
            assert 0 <= entries.bytes <= entries.budget
            assert entries.bytes >= OVERHEAD * len(entries)

    @invariant()
    def nothing_is_executed_for_nobody(self) -> None:
        assert len(self._running()) <= len(self.clients)

    def teardown(self) -> None:
        if hasattr(self, "cache"):
            while running := self._running():
                running[0].steps.put_nowait(True)
                self._settle()
            self.every_answer_is_of_an_execution_that_may_be_given()
            assert not self.clients, "whoever waits gets an answer"
            assert (self.cache.filter.in_flight, self.cache.filter.waiting) == (0, 0)
            assert all(each.closed == (each.ended is not None) for each in self._unary())
            self.loop.run_until_complete(self.cache.filter.close())
        self.loop.close()

    def _unary(self) -> list[Execution]:
        return [each for each in self.executions if not each.streaming]

    def _running(self) -> list[Execution]:
        return [each for each in self.executions if not each.over]

    def _settle(self) -> None:
        self.loop.run_until_complete(turns(12))

    async def _execute(self, asked: InferRequest) -> Reply:
        context = asked.context
        execution = Execution(
            len(self.executions),
            context.principal.tenant,
            asked.payload.tensors[0].data[0],
            context.streaming,
            self.cache.revision,
        )
        self.executions.append(execution)
        first = await self._part(execution, 0)
        rest = self._rest(execution) if execution.streaming else None

        def close() -> None:
            execution.closed += 1
            execution.over = True

        return Reply(first, rest, close)

    async def _rest(self, execution: Execution) -> AsyncIterator[object]:
        for at in range(1, PARTS):
            yield await self._part(execution, at)

    async def _part(self, execution: Execution, at: int) -> object:
        final = at == PARTS - 1 or not execution.streaming
        try:
            if not await execution.steps.get():
                raise BROKEN.copy()
        except BaseException:
            execution.over = True
            raise
        if final:
            execution.over = True
            execution.ended = self.cache.now
            execution.revision_then = self.cache.revision
        tenant = TENANTS.index(execution.tenant)
        return part(tenant, execution.value, execution.number, at, final=final)


TestCaching = Caching.TestCase
TestCaching.settings = bounded(60, 40)
TestCaching.pytestmark = [pytest.mark.timeout(LIMIT)]
