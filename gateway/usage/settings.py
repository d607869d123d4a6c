"""`usage:` in `penstock.yaml`."""

from typing import Annotated

from pydantic import Field

from protos.settings import Settings

TenantName = Annotated[str, Field(min_length=1, max_length=256)]


class UsageSettings(Settings):
    """`tenants` are those that metrics name; what the others use is theirs together, as "other".

    The record store has all of them.
    """

    tenants: tuple[TenantName, ...] = Field(default=(), max_length=1000)
