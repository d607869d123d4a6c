"""Triton's schedule parameters, which any face may carry: `priority` and `timeout`."""

from math import inf

from protos.errors import invalid
from protos.values import Parameters

MAX_PRIORITY = 0xFFFF
TIMEOUT = "timeout"


def priority(parameters: Parameters) -> int:
    """1 is the highest, 0 (or none given) the model's default."""
    value = parameters.get("priority", 0)
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid("parameters.priority: must be an integer, 1 is the highest, 0 the default")
    if not 0 <= value <= MAX_PRIORITY:
        raise invalid(f"parameters.priority: {value} is outside 0..{MAX_PRIORITY}")
    return value


def timeout(parameters: Parameters) -> float:
    """Seconds that the request may take by its own `timeout` in microseconds; inf without one."""
    value = parameters.get(TIMEOUT, 0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise invalid("parameters.timeout: must be a non-negative integer of microseconds")
    return value / 1e6 if value else inf
