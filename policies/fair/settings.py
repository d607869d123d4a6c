"""`fairness:` in `penstock.yaml`. It belongs to the process: routes share models and devices."""

from typing import Annotated, Literal

from pydantic import Field

from protos.quantities import Size, size
from protos.settings import Settings

Weight = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]


class Queues(Settings):
    """What may wait for one model in one worker: requests of each tenant, of all, and their data.

    A tenant that is over its bound is refused; when all together are, it is the one that has the
    most waiting.
    """

    per_tenant: Count = 1024
    total: Count = 4096
    bytes: Annotated[Size, Field(gt=0)] = size("256MiB")


class Fairness(Settings):
    """Tenants' shares of a model that is asked for more than it can do.

    `weights` by tenant, `default` for those not named. With `mode: observe` nothing waits and
    nothing is refused; it is only counted what would have waited.
    """

    weights: dict[Annotated[str, Field(min_length=1)], Weight] = Field(default_factory=dict)
    default: Weight = 1.0
    queue: Queues = Queues()
    mode: Literal["enforce", "observe"] = "enforce"

    def weight(self, tenant: str) -> float:
        return self.weights.get(tenant, self.default)
