"""Where durable records lie, and which decisions are among them, of `penstock.yaml`."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from gateway.listening import Time
from protos.errors import invalid
from protos.quantities import seconds
from protos.settings import Settings


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

    def with_password(self, own: Path) -> URL:
        """The store's URL, a secret from here on; `own` is the file where none is named.

        Raises INVALID where the password can't be read.
        """
        if not self.url:
            return URL.create("sqlite", database=str(own))
        url = make_url(self.url)
        if self.password_file is None:
            return url
        try:
            password = self.password_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            where = self.password_file
            raise invalid(f"store.passwordFile: {where} can't be read: {error.strerror}") from None
        return url.set(password=password)


class Decisions(Settings):
    """Records for `penstock routes plan`: sampled whole users, without subjects or bodies.

    `keyFile` holds at least 16 bytes, the same for gateways that share a record store; without it
    one is made in the state folder.
    """

    key_file: Path | None = None
    per_second: Annotated[int, Field(ge=0)] = 50
