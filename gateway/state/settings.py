"""Where the state lies that workers and replicas share: limits and kept answers."""

from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, field_validator, model_validator

from protos.quantities import Address
from protos.settings import Settings
from protos.tls import ClientTls

MEMORY = "memory://"
_PORT = 6379


class StateSettings(Settings):
    """`memory://` for the workers of one machine, a Redis or Valkey server for many replicas.

    The URL is `redis://[user@]host[:port][/database]`, or `rediss://…` for TLS, without the
    password, which stands alone in `passwordFile`. With `tls` the server is checked against its
    `ca`, otherwise against what the system trusts.
    """

    url: str = Field(
        default=MEMORY, examples=[MEMORY, "redis://redis:6379/0", "rediss://redis:6379"]
    )
    password_file: Path | None = None
    tls: ClientTls | None = None

    @field_validator("url")
    @classmethod
    def _known(cls, text: str) -> str:
        if text == MEMORY:
            return text
        try:
            url = urlsplit(text)
            url.port  # noqa: B018 (raises for what is none)
        except ValueError:
            raise ValueError("is not a URL") from None
        if url.scheme not in ("redis", "rediss") or not url.hostname:
            raise ValueError("is memory://, redis://host:port or rediss://host:port")
        if url.password is not None:
            raise ValueError("holds a password, which belongs into passwordFile")
        if url.query or url.fragment:
            raise ValueError("takes no options")
        number = url.path.strip("/")
        if number and not (number.isascii() and number.isdigit()):
            raise ValueError("ends with the number of a database, if with anything")
        return text

    @model_validator(mode="after")
    def _tls_where_asked(self) -> Self:
        if self.tls is not None and not self.url.startswith("rediss://"):
            raise ValueError("tls goes with rediss://")
        if self.password_file is not None and self.url == MEMORY:
            raise ValueError("passwordFile goes with redis:// and rediss://")
        return self

    @property
    def shared(self) -> bool:
        """Whether replicas share it."""
        return self.url != MEMORY

    @property
    def address(self) -> Address:
        """The server's; of `memory://` there is none, which raises ValueError."""
        if not self._parts.hostname:
            raise ValueError("memory:// has no address")
        return Address(self._parts.hostname, self._parts.port or _PORT)

    @property
    def user(self) -> str | None:
        return self._parts.username

    @property
    def database(self) -> int:
        return int(self._parts.path.strip("/") or 0)

    @property
    def encrypted(self) -> bool:
        return self._parts.scheme == "rediss"

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(self.url)
