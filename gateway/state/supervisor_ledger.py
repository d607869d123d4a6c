"""The ledger of one machine: it lies in the supervisor, workers ask it over their Unix socket."""

import asyncio
import time
from collections.abc import Sequence
from typing import cast

import grpc
from grpc import aio

from gateway.state.breaker import Breaker
from gateway.state.patience import Patience
from policies.leases.ledger import Ledger
from policies.leases.terms import Answer, Ask, Grant, Kind, Terms
from protos import discovery_pb2 as pb

SERVICE = "penstock.v1.Supervisor"
METHOD = "ExchangeLeases"
PATIENCE = 0.1  # seconds; requests wait for an answer
PATIENCE_AT_START = 1.0


class LedgerService:
    """The supervisor's end."""

    def __init__(self) -> None:
        self._ledger = Ledger()

    def handler(self) -> grpc.GenericRpcHandler:
        """Of the service that workers attach to."""
        method = grpc.unary_unary_rpc_method_handler(
            self._exchange,
            request_deserializer=pb.LeaseAsks.FromString,
            response_serializer=pb.LeaseGrants.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(SERVICE, {METHOD: method})

    async def _exchange(
        self, told: pb.LeaseAsks, context: "aio.ServicerContext[pb.LeaseAsks, pb.LeaseGrants]"
    ) -> pb.LeaseGrants:
        asks = [_ask(each) for each in told.asks]
        answer = self._ledger.exchange(told.holder, asks, time.monotonic(), time.time())
        return pb.LeaseGrants(
            holders=answer.holders,
            grants=[
                pb.LeaseGrant(granted=g.granted, left=g.left, cap=g.cap, reset=g.reset)
                for g in answer.grants
            ],
        )


class SupervisorLedger:
    """A worker's end; `address` is the supervisor's.

    A supervisor that doesn't answer in time is asked no more until it does (`breaker.py`).
    """

    def __init__(self, address: str, *, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._holder = ""
        self._met = False
        self.breaker = Breaker("the supervisor's ledger", self._look)
        self._channel = aio.insecure_channel(address)
        self._call = self._channel.unary_unary(
            f"/{SERVICE}/{METHOD}",
            request_serializer=pb.LeaseAsks.SerializeToString,
            response_deserializer=pb.LeaseGrants.FromString,
        )

    async def exchange(self, holder: str, asks: Sequence[Ask]) -> Answer | None:
        """The ledger's answer; None when the supervisor doesn't answer."""
        self._holder = holder
        if not self.breaker.up:
            return None
        seconds = self._patience if self._met else max(PATIENCE_AT_START, self._patience)
        patience = Patience(seconds)
        try:
            async with patience:
                answer = await self._call(_all_told(holder, asks))
        except TimeoutError:
            now = asyncio.get_running_loop().time()
            self.breaker.late(seconds, now, stalled=patience.stalled)
            return None
        except aio.AioRpcError as error:
            self.breaker.lose(error.code().name)
            return None
        self._met = True
        self.breaker.answered()
        grants = tuple(Grant(g.granted, g.left, g.cap, g.reset) for g in answer.grants)
        return Answer(answer.holders, grants)

    async def _look(self) -> None:
        """Raises unless the supervisor answers; that this worker is there is true in any case."""
        async with Patience(self._patience):
            await self._call(_all_told(self._holder, ()))

    async def close(self) -> None:
        await self.breaker.close()
        await self._channel.close()


def _all_told(holder: str, asks: Sequence[Ask]) -> pb.LeaseAsks:
    return pb.LeaseAsks(holder=holder, asks=[_told(ask) for ask in asks])


def _told(ask: Ask) -> pb.LeaseAsk:
    return pb.LeaseAsk(
        name=ask.name,
        kind=ask.terms.kind,
        size=ask.terms.size,
        rate=ask.terms.rate,
        charge=ask.charge,
        need=ask.need,
        want=ask.want,
        held=ask.held,
        reserved=ask.reserved,
        grain=ask.grain,
        used=ask.used,
        at_once=ask.at_once,
    )


def _ask(told: pb.LeaseAsk) -> Ask:
    terms = Terms(cast(Kind, told.kind), told.size, told.rate)
    return Ask(
        told.name,
        terms,
        told.charge,
        told.need,
        told.want,
        told.held,
        told.reserved,
        told.grain,
        told.used,
        told.at_once,
    )
