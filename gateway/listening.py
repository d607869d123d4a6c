"""Where a gateway listens, and what one client or backend may cost it, of `penstock.yaml`."""

from collections import Counter
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from protos.quantities import Address, Duration, HostPort, Size, seconds, size
from protos.settings import Settings
from protos.tls import ClientTls, ServerTls

Face = Literal["http", "grpc", "admin", "discovery"]
FACES: tuple[Face, ...] = ("http", "grpc", "admin", "discovery")


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError("must be more than zero")
    return value


def _network(value: object) -> IPv4Network | IPv6Network:
    # Not pydantic's own: of a union it tells what is wrong with either member.
    return ip_network(value if isinstance(value, str) else "")


def unique(key: str, values: list[str]) -> None:
    """Raises ValueError for a value that is there twice."""
    twice = [value for value, times in Counter(values).items() if times > 1]
    if twice:
        raise ValueError(f"two have the {key} {twice[0]}")


Time = Annotated[Duration, AfterValidator(_positive)]
Bytes = Annotated[Size, AfterValidator(_positive)]
Count = Annotated[int, Field(gt=0)]
Network = Annotated[
    IPv4Network | IPv6Network,
    PlainValidator(_network),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "examples": ["10.0.0.0/8"]}),
]


class Listener(Settings):
    address: HostPort
    tls: ServerTls | None = None


class Listeners(Settings):
    """The ports are Triton's, so that clients and dashboards fit."""

    http: Listener = Listener(address=Address("127.0.0.1", 8000))
    grpc: Listener = Listener(address=Address("127.0.0.1", 8001))
    admin: Listener = Listener(address=Address("127.0.0.1", 8002))
    discovery: Listener = Listener(address=Address("127.0.0.1", 8003))

    @model_validator(mode="after")
    def _apart(self) -> Self:
        addresses = [getattr(self, face).address for face in FACES]
        unique("address", [str(address) for address in addresses if address.port])
        return self


class ExchangeSettings(Settings):
    """How gateways reach backends; without `tls` in plain text."""

    tls: ClientTls | None = None


class Limits(Settings):
    """What one client may cost before anything is known about it.

    `bodies` bounds those that a worker holds at once over REST, eight times `body` if it isn't
    said; half of it is for one tenant.
    `jsonBody` bounds bodies that must be parsed, `jsonInline` those parsed on the event loop.
    `bodyTimeout` is the time for a body of any size, and grows with what has arrived.
    """

    body: Bytes = size("64MiB")
    bodies: Bytes | None = None
    json_body: Bytes = size("16MiB")
    json_inline: Bytes = size("2MiB")
    header_bytes: Bytes = size("16KiB")
    header_count: Count = 100
    header_timeout: Time = seconds("10s")
    body_timeout: Time = seconds("30s")
    idle_timeout: Time = seconds("75s")
    connections: Count = 10_000
    drain_timeout: Time = seconds("30s")

    @model_validator(mode="after")
    def _one_fits(self) -> Self:
        if self.bodies is not None and self.bodies < self.body:
            raise ValueError("bodies: less than body, so the largest could never be sent")
        return self


class Timeouts(Settings):
    """`total` spans queueing and all attempts; `idle`: how long a client may leave parts unread."""

    total: Time = seconds("30s")
    idle: Time = seconds("5s")


class DiscoverySettings(Settings):
    """How long a silent backend is believed in, and from where one may join."""

    lease: Time = seconds("5s")
    allowed_networks: tuple[Network, ...] = (
        ip_network("127.0.0.0/8"),
        ip_network("::1/128"),
    )
