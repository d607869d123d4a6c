"""Gateways and backends of a timed device for one experiment, in processes of their own."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from chaos.faults.proxy import FaultProxy
from chaos.history import Execution
from chaos.load import Caller
from chaos.mesh import Mesh
from chaos.ports import free_ports
from chaos.processes import Process
from chaos.timed import NAME, Timed

VERSION = "1"


class Site:
    """Backends join every gateway. `settings` is further YAML of the gateways' configuration,
    `limits` are among its limits.
    """

    def __init__(
        self,
        folder: Path,
        model: Timed,
        *,
        gateways: int = 1,
        workers: int = 1,
        routes: Mapping[str, str] | None = None,
        settings: str = "",
        limits: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.model = model
        self.gateways: list[Mesh] = []
        for number in range(gateways):
            place = folder / f"gateway-{number}"
            place.mkdir(parents=True)
            secret = self.gateways[0].secret if self.gateways else None
            self.gateways.append(
                Mesh(
                    place,
                    workers=workers,
                    secret=secret,
                    routes=routes,
                    more=settings,
                    limits=limits,
                    environment=environment,
                )
            )

    @property
    def gateway(self) -> Mesh:
        return self.gateways[0]

    @property
    def targets(self) -> list[str]:
        return [each.url for each in self.gateways]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        stuck = []
        # Backends belong to the first gateway's mesh and end before any gateway does.
        for mesh in self.gateways:
            try:
                await asyncio.to_thread(mesh.__exit__, kind, error, trace)
            except AssertionError as one:
                stuck.append(str(one))
        if stuck:
            raise AssertionError("\n".join(stuck))

    def backend(
        self,
        name: str,
        *flags: str,
        behind: FaultProxy | None = None,
        join: str = "",
        model: Timed | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Process:
        """Starts a backend; gateways reach one that is `behind` a proxy only through that.

        It has the site's model, or this other one.
        """
        where: tuple[str, ...] = ()
        if behind is not None:
            (behind.target,) = free_ports(1)
            where = (
                "--listen",
                f"127.0.0.1:{behind.target}",
                "--advertise",
                f"127.0.0.1:{behind.port}",
            )
        addresses = join or ",".join(each.address("discovery") for each in self.gateways)
        repository = (model or self.model).repository
        return self.gateway.start_backend(
            name, repository, *where, *flags, join=addresses, environment=environment
        )

    def backends(self, count: int, *flags: str) -> list[Process]:
        """Starts b0, b1 and so on."""
        return [self.backend(f"b{number}", *flags) for number in range(count)]

    async def ready(self, instances: int, model: str = NAME) -> None:
        """Until every gateway serves the model on so many instances."""
        for mesh in self.gateways:
            await asyncio.to_thread(mesh.wait_ready, (model, VERSION), instances=instances)

    async def until(self, condition: Callable[[], bool], what: str) -> float:
        """Seconds until the condition held; it is asked in a thread and may block."""
        return await asyncio.to_thread(self.gateway.wait, condition, what)

    def caller(self, rate: float, tenant: str = "tests", **settings: Any) -> Caller:
        """Somebody who may ask for everything."""
        return Caller(self.gateway.token("infer:*", tenant=tenant), rate, tenant, **settings)

    def counter(self, name: str, **labels: str) -> float:
        """The sum of a metric's series with these labels, over all gateways."""
        return sum(each.counter(name, **labels) for each in self.gateways)

    def states(self, gateway: int = 0) -> list[str]:
        """Of the instances that this gateway knows, by their names."""
        rows = self.gateways[gateway].endpoints()
        return [row["state"] for row in sorted(rows, key=lambda row: str(row["instance"]))]

    async def seen(self, gateway: int = 0) -> list[str]:
        """`states`, asked in a thread: a load that runs meanwhile isn't held up."""
        return await asyncio.to_thread(self.states, gateway)

    async def instance(self, name: str) -> dict[str, Any]:
        """What the first gateway tells of it. Raises LookupError if it knows none."""
        found = await asyncio.to_thread(self.gateway.instance, name)
        if found is None:
            raise LookupError(f"no instance {name}")
        return found

    @property
    def crashed(self) -> list[str]:
        """Processes that ended though nobody told them to, or with an error."""
        return [name for mesh in self.gateways for name in mesh.crashed]

    @property
    def evictions(self) -> float:
        """Instances whose leases ran out, in all gateways."""
        return self.counter("penstock_lease_evictions_total")

    def executions(self, began: float) -> list[Execution]:
        return self.model.executions(began)
