"""How busy a model server says it is, read from its Prometheus metrics.

Names are those of vLLM, SGLang, TGI and llama.cpp; what a server doesn't tell stays 0.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite

_WAITING = (
    "vllm:num_requests_waiting",
    "sglang:num_queue_reqs",
    "tgi_queue_size",
    "llamacpp:requests_deferred",
)
_RUNNING = (
    "vllm:num_requests_running",
    "sglang:num_running_reqs",
    "tgi_batch_current_size",
    "llamacpp:requests_processing",
)
# A share from 0 to 1.
_CACHE_USE = (
    "vllm:kv_cache_usage_perc",
    "vllm:gpu_cache_usage_perc",
    "sglang:token_usage",
    "llamacpp:kv_cache_usage_ratio",
)
# The loaded adapters are in labels, and its value is when that was so.
_ADAPTERS = "vllm:lora_requests_info"

# Pages have hundreds of histogram lines for each of these.
_LINE = re.compile(
    rf"^({'|'.join(map(re.escape, (*_WAITING, *_RUNNING, *_CACHE_USE, _ADAPTERS)))})"
    r"(?:\{([^\n]*)\})?[ \t]+(\S+)",
    re.MULTILINE,
)
_LOADED = re.compile(r'(?:running|waiting)_lora_adapters="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Signals:
    """Requests that wait and that run, the share of its cache in use, adapters in memory."""

    waiting: int = 0
    running: int = 0
    cache_use: float = 0.0
    adapters: tuple[str, ...] = ()


def read(page: str) -> Signals:
    """What the page tells; several series of one name (engines, models) are added up."""
    sums: dict[str, float] = {}
    most: dict[str, float] = {}
    newest = -1.0
    adapters: tuple[str, ...] = ()
    for name, labels, written in _LINE.findall(page):
        value = _number(written)
        if name == _ADAPTERS:
            if value > newest:
                newest, adapters = value, _adapters(labels)
            continue
        sums[name] = sums.get(name, 0.0) + value
        most[name] = max(most.get(name, 0.0), value)
    return Signals(
        int(_first(sums, _WAITING)),
        int(_first(sums, _RUNNING)),
        min(1.0, _first(most, _CACHE_USE)),
        adapters,
    )


def _first(found: dict[str, float], names: Iterable[str]) -> float:
    return next((found[name] for name in names if name in found), 0.0)


def _adapters(labels: str) -> tuple[str, ...]:
    names = {name.strip() for listed in _LOADED.findall(labels) for name in listed.split(",")}
    return tuple(sorted(names - {""}))


def _number(written: str) -> float:
    try:
        value = float(written)
    except ValueError:
        return 0.0
    return max(0.0, value) if isfinite(value) else 0.0
