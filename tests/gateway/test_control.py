"""When a gateway says that it is ready."""

import pytest

from gateway.control import FOUND_AFTER, Control
from gateway.routes.current import CurrentRoutes
from protos import discovery_pb2 as pb
from routing.endpoints import EndpointTable
from tests.routing.leased import FakeExchange, lease, snapshot
from tests.routing.rules.written_routes import route
from tests.routing.rules.written_routes import table as routes_of

STABLE = lease("a", models=[("fraud", "3", pb.READY)])
CANARY = lease("b", models=[("fraud", "4", pb.READY)])


class Started:
    """A gateway with a route of two arms whose backends come one after the other."""

    def __init__(self) -> None:
        self.now = 100.0
        self.table = EndpointTable(FakeExchange)
        routes = CurrentRoutes()
        routes.table = routes_of(route())
        self._control = Control(self.table, routes, lambda: self.now)

    def ready(self, *leases: pb.Lease) -> bool:
        self.table.apply(snapshot(*leases))
        return self._control.ready()


@pytest.fixture
async def started():
    found = Started()
    yield found
    await found.table.close()


async def test_a_new_gateway_is_ready_once_every_arm_that_gets_requests_is_served(started):
    assert not started.ready()
    assert not started.ready(STABLE)
    assert started.ready(STABLE, CANARY)


async def test_backends_that_are_not_there_at_all_are_waited_for_only_so_long(started):
    assert not started.ready(STABLE)
    started.now += FOUND_AFTER
    assert started.ready(STABLE)


async def test_an_arm_that_is_lost_later_unreadies_nobody(started):
    assert started.ready(STABLE, CANARY)
    assert started.ready(STABLE)
    assert not started.ready()
