"""A connection to Redis or Valkey as the configuration describes it."""

from typing import Any

from redis.asyncio import Connection, SSLConnection

from gateway.state.settings import StateSettings


def connection_to(settings: StateSettings) -> Connection:
    """Not yet connected. Time is kept by who uses it, for the whole call."""
    password = None
    if settings.password_file is not None:
        # Read anew, so that a password can be changed while we run.
        password = settings.password_file.read_text(encoding="utf-8").strip()
    common: dict[str, Any] = {
        "host": settings.address.host,
        "port": settings.address.port,
        "db": settings.database,
        "username": settings.user,
        "password": password,
        "protocol": 2,
        "socket_timeout": None,
        "socket_connect_timeout": None,
        "driver_info": None,
    }
    if not settings.encrypted:
        return Connection(**common)
    tls = settings.tls
    return SSLConnection(
        **common,
        ssl_ca_certs=str(tls.ca) if tls else None,
        ssl_certfile=str(tls.certificate) if tls and tls.certificate else None,
        ssl_keyfile=str(tls.key) if tls and tls.key else None,
    )
