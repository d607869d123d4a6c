"""So much of everything that is counted."""

from dataclasses import dataclass

UNITS = ("requests", "rows", "prompt_tokens", "completion_tokens", "device_seconds")


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one day, YYYY-MM-DD in UTC; "" in a sum over days, tenants or models."""

    day: str
    tenant: str
    model: str
    requests: int
    rows: int
    prompt_tokens: int
    completion_tokens: int
    device_seconds: float
