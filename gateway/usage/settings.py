"""`usage:` in `penstock.yaml`."""

from typing import Annotated

from pydantic import AfterValidator, Field

from gateway.usage.book import OTHER
from protos.settings import Settings


def _not_the_others(tenant: str) -> str:
    if tenant == OTHER:
        raise ValueError(f'"{OTHER}" is what metrics call all who are not named')
    return tenant


TenantName = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_not_the_others)]


class UsageSettings(Settings):
    """`tenants` are those that metrics name; what the others use is theirs together, as "other".

    The record store has all of them.
    """

    tenants: tuple[TenantName, ...] = Field(default=(), max_length=1000)
