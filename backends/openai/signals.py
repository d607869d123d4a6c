"""How busy a model server says it is and what it has done, read from its Prometheus metrics.

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
# Counters, since the server's start.
_PREEMPTIONS = ("vllm:num_preemptions_total", "vllm:num_preemptions")
_PROMPT = (
    "vllm:prompt_tokens_total",
    "sglang:prompt_tokens_total",
    "llamacpp:prompt_tokens_total",
)
_CACHED = ("vllm:prefix_cache_hits_total", "sglang:cached_tokens_total")
_GENERATED = (
    "vllm:generation_tokens_total",
    "sglang:generation_tokens_total",
    "llamacpp:tokens_predicted_total",
)
_DRAFTED = ("vllm:spec_decode_num_draft_tokens_total",)
_ACCEPTED = ("vllm:spec_decode_num_accepted_tokens_total",)
# Its labels say how large the cache is.
_CACHE = "vllm:cache_config_info"
# The loaded adapters are in labels, and its value is when that was so.
_ADAPTERS = "vllm:lora_requests_info"

_NAMES = (
    *_WAITING,
    *_RUNNING,
    *_CACHE_USE,
    *_PREEMPTIONS,
    *_PROMPT,
    *_CACHED,
    *_GENERATED,
    *_DRAFTED,
    *_ACCEPTED,
    _CACHE,
    _ADAPTERS,
)

# Pages have hundreds of histogram lines for each of these.
_LINE = re.compile(
    rf"^({'|'.join(map(re.escape, _NAMES))})"
    r"(?:\{([^\n]*)\})?[ \t]+(\S+)",
    re.MULTILINE,
)
_BLOCKS = re.compile(r'(num_gpu_blocks|block_size)="(\d{1,12})"')
_LOADED = re.compile(r'(?:running|waiting)_lora_adapters="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Signals:
    """Requests that wait and that run, the share of its cache in use, adapters in memory.

    Then totals since its start, of tokens but for preemptions, and how many tokens its cache holds.
    """

    waiting: int = 0
    running: int = 0
    cache_use: float = 0.0
    adapters: tuple[str, ...] = ()
    preemptions: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0  # of those, found in the cache
    generated_tokens: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0  # of those
    cache_tokens: int = 0


def read(page: str) -> Signals:
    """What the page tells; several series of one name (engines, models) are added up."""
    sums: dict[str, float] = {}
    most: dict[str, float] = {}
    newest = -1.0
    adapters: tuple[str, ...] = ()
    room = 0
    for name, labels, written in _LINE.findall(page):
        value = _number(written)
        if name == _ADAPTERS:
            if value > newest:
                newest, adapters = value, _adapters(labels)
            continue
        if name == _CACHE:
            room += _tokens(labels)
            continue
        sums[name] = sums.get(name, 0.0) + value
        most[name] = max(most.get(name, 0.0), value)
    return Signals(
        int(_first(sums, _WAITING)),
        int(_first(sums, _RUNNING)),
        min(1.0, _first(most, _CACHE_USE)),
        adapters,
        int(_first(sums, _PREEMPTIONS)),
        int(_first(sums, _PROMPT)),
        int(_first(sums, _CACHED)),
        int(_first(sums, _GENERATED)),
        int(_first(sums, _DRAFTED)),
        int(_first(sums, _ACCEPTED)),
        room,
    )


def _first(found: dict[str, float], names: Iterable[str]) -> float:
    return next((found[name] for name in names if name in found), 0.0)


def _adapters(labels: str) -> tuple[str, ...]:
    names = {name.strip() for listed in _LOADED.findall(labels) for name in listed.split(",")}
    return tuple(sorted(names - {""}))


def _tokens(labels: str) -> int:
    found = dict(_BLOCKS.findall(labels))
    return int(found.get("num_gpu_blocks", 0)) * int(found.get("block_size", 0))


def _number(written: str) -> float:
    try:
        value = float(written)
    except ValueError:
        return 0.0
    return max(0.0, value) if isfinite(value) else 0.0
