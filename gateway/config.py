"""`penstock.yaml`: the process's configuration, parsed once into frozen models.

What operations change while it runs (routes) is elsewhere. Durations, sizes and addresses are
validated where they are read, so nothing behind this file sees a text that may not parse.
"""

import os
from collections import Counter
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from gateway.privacy_key import PrivacySettings
from gateway.state.settings import StateSettings
from gateway.telemetry.settings import LogFormat
from gateway.tracing.settings import TelemetrySettings
from gateway.usage.settings import UsageSettings
from policies.api_keys import ApiKeySettings
from policies.audit import AuditSettings
from policies.cache.settings import CacheSettings
from policies.fair.settings import Fairness
from policies.issuers import Issuer
from policies.mtls import CertificateIdentity
from policies.revocation import Revocation
from protos.errors import invalid
from protos.quantities import Address, Duration, HostPort, Size, seconds, size
from protos.settings import Settings
from protos.strict_yaml import ConfigError, load
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


def _unique(key: str, values: list[str]) -> None:
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
        _unique("address", [str(address) for address in addresses if address.port])
        return self


class ExchangeSettings(Settings):
    """How gateways reach backends; without `tls` in plain text."""

    tls: ClientTls | None = None


class Limits(Settings):
    """What one client may cost before anything is known about it.

    `jsonBody` bounds bodies that must be parsed, `jsonInline` those parsed on the event loop.
    `bodyTimeout` is the time for a body of any size, and grows with what has arrived.
    """

    body: Bytes = size("64MiB")
    json_body: Bytes = size("16MiB")
    json_inline: Bytes = size("2MiB")
    header_bytes: Bytes = size("16KiB")
    header_count: Count = 100
    header_timeout: Time = seconds("10s")
    body_timeout: Time = seconds("30s")
    idle_timeout: Time = seconds("75s")
    connections: Count = 10_000
    drain_timeout: Time = seconds("30s")


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


class StoreSettings(Settings):
    """Where durable records lie: SQLite in the state folder, or a database that replicas share.

    `url` is SQLAlchemy's, without the password, which stands alone in `passwordFile`. Comparisons
    and decisions are forgotten after `keep`.
    """

    url: str = ""
    password_file: Path | None = None
    keep: Time = seconds("7d")

    @field_validator("url")
    @classmethod
    def _known(cls, text: str) -> str:
        if not text:
            return text
        try:
            url = make_url(text)
        except ArgumentError:
            raise ValueError("is not a database URL") from None
        if url.get_backend_name() not in ("sqlite", "postgresql"):
            raise ValueError("begins with sqlite:/// or postgresql+psycopg://")
        if url.password:
            raise ValueError("holds a password, which belongs into passwordFile")
        return text


class Decisions(Settings):
    """Records for `penstock routes plan`: sampled whole users, without subjects or bodies."""

    per_second: Annotated[int, Field(ge=0)] = 50


class ModelServer(Settings):
    """A server of OpenAI's API, which a backend joins and, with `start`, runs.

    `models` maps names here to the server's; without any, all that it lists are served. The rest
    is as `penstock backend openai` has it.
    """

    url: str = Field(pattern="^https?://")
    models: dict[str, str] = Field(default_factory=dict)
    unlisted: bool = False
    key_file: Path | None = None
    start: str = ""
    revision: str = ""
    send_priority: bool = False
    salt_cache: bool = False


class Backend(Settings):
    """A backend process that `penstock up` starts; without `address` it takes a free port.

    The runtime `openai` has a `server`, all others have a `repository` of models.
    """

    name: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128)
    runtime: str = Field(min_length=1)
    repository: Path | None = None
    server: ModelServer | None = None
    device: str = Field("cpu", min_length=1)
    threads: Count | None = None
    allow_code: bool = False
    memory_budget: Bytes | None = None
    address: HostPort | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        wanted = "server" if self.runtime == "openai" else "repository"
        given = [name for name in ("repository", "server") if getattr(self, name) is not None]
        if given != [wanted]:
            raise ValueError(f"the runtime {self.runtime} takes a {wanted} and nothing instead")
        if self.server is not None and (self.allow_code or self.memory_budget is not None):
            raise ValueError("allowCode and memoryBudget go with a repository")
        return self

    @property
    def computes(self) -> bool:
        """Whether it needs cores, rather than passing work on."""
        return self.device == "cpu" and (self.server is None or bool(self.server.start))


class Config(Settings):
    """One gateway. `portOffset` moves every fixed port, to run several on one machine.

    `routes` is the folder of route documents, which are read again whenever they change.
    """

    api_version: Literal["penstock/v1"]
    kind: Literal["Penstock"]
    listeners: Listeners = Listeners()
    workers: Count = 1
    port_offset: int = Field(0, ge=0)
    state_folder: Path = Path(".penstock")
    issuers: tuple[Issuer, ...] = ()
    api_keys: ApiKeySettings | None = None
    certificates: tuple[CertificateIdentity, ...] = ()
    revocation: Revocation | None = None
    exchange: ExchangeSettings = ExchangeSettings()
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    discovery: DiscoverySettings = DiscoverySettings()
    routes: Path | None = None
    state: StateSettings = StateSettings()
    cache: CacheSettings = CacheSettings()
    store: StoreSettings = StoreSettings()
    usage: UsageSettings = UsageSettings()
    decisions: Decisions = Decisions()
    audit: AuditSettings = AuditSettings()
    privacy: PrivacySettings = PrivacySettings()
    fairness: Fairness = Fairness()
    telemetry: TelemetrySettings = TelemetrySettings()
    backends: tuple[Backend, ...] = ()

    def listener(self, face: Face) -> Listener:
        """The face's listener as it will be bound: `portOffset` is already in it."""
        listener: Listener = getattr(self.listeners, face)
        return listener.model_copy(update={"address": listener.address.plus(self.port_offset)})

    @property
    def store_url(self) -> URL:
        """The record store with its password; a secret from here on.

        Raises INVALID where the password can't be read.
        """
        if not self.store.url:
            return URL.create("sqlite", database=str(self.state_folder / "records.db"))
        url = make_url(self.store.url)
        if self.store.password_file is None:
            return url
        try:
            password = self.store.password_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            where = self.store.password_file
            raise invalid(f"store.passwordFile: {where} can't be read: {error.strerror}") from None
        return url.set(password=password)

    @property
    def audit_folder(self) -> Path:
        return self.audit.folder or self.state_folder / "audit"

    @field_validator("port_offset")
    @classmethod
    def _within_ports(cls, offset: int, info: ValidationInfo) -> int:
        for face in FACES:
            address = getattr(info.data.get("listeners", Listeners()), face).address
            if address.plus(offset).port > 65535:
                raise ValueError(f"moves {address} beyond the last port, 65535")
        return offset

    @field_validator("issuers")
    @classmethod
    def _issuers_apart(cls, issuers: tuple[Issuer, ...]) -> tuple[Issuer, ...]:
        _unique("name", [each.name for each in issuers])
        _unique("issuer", [each.issuer for each in issuers])
        return issuers

    @field_validator("certificates")
    @classmethod
    def _certificates_are_asked_for(
        cls, certificates: tuple[CertificateIdentity, ...], info: ValidationInfo
    ) -> tuple[CertificateIdentity, ...]:
        listeners = info.data.get("listeners", Listeners())
        tls = [getattr(listeners, face).tls for face in FACES]
        if certificates and not any(each and each.client_ca for each in tls):
            raise ValueError("no listener has tls.clientCa, so nobody shows a certificate")
        return certificates

    @field_validator("backends")
    @classmethod
    def _backends_apart(cls, backends: tuple[Backend, ...]) -> tuple[Backend, ...]:
        _unique("name", [each.name for each in backends if each.name])
        return backends


def load_config(path: Path) -> Config:
    """Reads the file; relative paths in it are relative to its folder. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as failure:
        why = failure.strerror or "cannot be read"
        hint = "; --config or PENSTOCK_CONFIG names another file"
        raise ConfigError(str(path), 1, f"{why}{hint}") from failure
    except UnicodeDecodeError as failure:
        raise ConfigError(str(path), 1, "is not UTF-8") from failure
    return resolved(load(text, str(path), Config), path.absolute().parent)


def with_log_format(config: Config, format_: LogFormat | None) -> Config:
    """The same with another form of the log; None leaves it."""
    if format_ is None:
        return config
    logs = config.telemetry.logs.model_copy(update={"format": format_})
    telemetry = config.telemetry.model_copy(update={"logs": logs})
    return config.model_copy(update={"telemetry": telemetry})


Model = TypeVar("Model", bound=Settings)


def resolved(settings: Model, folder: Path) -> Model:
    """The same settings with every relative path taken from `folder`."""
    return settings.model_copy(update={name: _resolved(value, folder) for name, value in settings})


def _resolved(value: Any, folder: Path) -> Any:
    if isinstance(value, Path):
        return Path(os.path.normpath(folder / value))  # it is shown to people, without ..
    if isinstance(value, Settings):
        return resolved(value, folder)
    if isinstance(value, tuple):
        return tuple(_resolved(each, folder) for each in value)
    return value


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of `penstock.yaml`, for editors; defaults as they are written."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Config.model_json_schema(mode="serialization"),
    }
