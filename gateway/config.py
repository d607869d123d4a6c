"""`penstock.yaml`: the process's configuration, parsed once into frozen models.

What operations change while it runs (routes) is elsewhere. Durations, sizes and addresses are
validated where they are read, so nothing behind this file sees a text that may not parse.
"""

import os
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationInfo, field_validator
from sqlalchemy import URL

from gateway.backend_settings import Backend
from gateway.listening import (
    FACES,
    Count,
    DiscoverySettings,
    ExchangeSettings,
    Face,
    Limits,
    Listener,
    Listeners,
    Timeouts,
    unique,
)
from gateway.privacy_key import PrivacySettings
from gateway.state.settings import StateSettings
from gateway.store.settings import Decisions, StoreSettings
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
from protos.settings import Settings
from protos.strict_yaml import ConfigError, load


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
        return self.store.with_password(self.state_folder / "records.db")

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
        unique("name", [each.name for each in issuers])
        unique("issuer", [each.issuer for each in issuers])
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
        unique("name", [each.name for each in backends if each.name])
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
