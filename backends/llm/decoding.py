"""Paged attention of single tokens on GPUs: a Triton kernel that reads the cache where it lies.

Each program takes one token, the heads that share a head of keys, and a share of what the token
sees; the shares are joined by their sums of exponentials (Flash-Decoding, Dao et al. 2023), so that
one long sequence keeps the whole device busy as many short ones do.
"""

import math

import torch
import triton
import triton.language as tl

SPLITS = 8  # programs that share what one token sees
LEAST = 16  # rows that a GPU's matrix units want at least


@triton.jit  # type: ignore[untyped-decorator]
def _kernel(  # type: ignore[no-untyped-def]
    queries,
    keys,
    values,
    tables,
    lengths,
    out,
    sums,
    scale,
    window,
    wide,
    times: tl.constexpr,
    rows: tl.constexpr,
    width: tl.constexpr,
    padded: tl.constexpr,
    size: tl.constexpr,
    splits: tl.constexpr,
):
    token, head, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    shared = tl.num_programs(1)
    length = tl.load(lengths + token)
    blocks = tl.cdiv(length, size)
    share = tl.cdiv(blocks, splits)
    row, column, place = tl.arange(0, rows), tl.arange(0, padded), tl.arange(0, size)
    real = (row[:, None] < times) & (column[None, :] < width)
    at = ((token * shared + head) * times + row)[:, None] * width + column[None, :]
    q = tl.load(queries + at, mask=real, other=0.0)
    most = tl.full([rows], -1.0e30, tl.float32)
    total = tl.zeros([rows], tl.float32)
    found = tl.zeros([rows, padded], tl.float32)
    for number in range(split * share, tl.minimum(blocks, (split + 1) * share)):
        block = tl.load(tables + token * wide + number).to(tl.int64)
        position = number * size + place
        seen = (position < length) & (position >= length - window)
        cached = ((block * size + place) * shared + head)[:, None] * width + column[None, :]
        there = seen[:, None] & (column[None, :] < width)
        k = tl.load(keys + cached, mask=there, other=0.0)
        v = tl.load(values + cached, mask=there, other=0.0)
        score = tl.dot(q, tl.trans(k), input_precision="ieee").to(tl.float32) * scale
        score = tl.where(seen[None, :], score, -1.0e30)
        higher = tl.maximum(most, tl.max(score, 1))
        weight = tl.where(seen[None, :], tl.exp(score - higher[:, None]), 0.0)
        before = tl.exp(most - higher)
        total = total * before + tl.sum(weight, 1)
        found = found * before[:, None]
        found += tl.dot(weight.to(v.dtype), v, input_precision="ieee").to(tl.float32)
        most = higher
    part = ((token * shared + head) * splits + split) * times + row
    result = found / tl.maximum(total, 1.0e-30)[:, None]
    tl.store(out + part[:, None] * width + column[None, :], result, mask=real)
    tl.store(sums + part, tl.where(total > 0.0, most + tl.log(total), -1.0e30), mask=row < times)


def attend(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    tables: torch.Tensor,
    lengths: torch.Tensor,
    *,
    scale: float | None = None,
    window: int = 0,
) -> torch.Tensor:
    """[tokens, heads, width] of `queries` of that shape.

    `keys` and `values` are [blocks, size, shared heads, width], `tables` [tokens, most blocks] the
    blocks of each token's sequence, `lengths` [tokens] how many tokens it sees there, itself
    included; of these the last `window`, where it isn't 0. Blocks hold a power of two of tokens, 16
    at least.
    """
    tokens, heads, width = queries.shape
    size, shared = keys.shape[1], keys.shape[2]
    times = heads // shared
    parts = queries.new_empty((tokens, shared, SPLITS, times, width), dtype=torch.float32)
    sums = queries.new_empty((tokens, shared, SPLITS, times), dtype=torch.float32)
    _kernel[(tokens, shared, SPLITS)](
        queries.contiguous(),
        keys,
        values,
        tables,
        lengths,
        parts,
        sums,
        scale if scale is not None else 1.0 / math.sqrt(width),
        window or 1 << 30,  # without one, everything
        tables.shape[1],
        times=times,
        rows=max(LEAST, triton.next_power_of_2(times)),
        width=width,
        padded=max(LEAST, triton.next_power_of_2(width)),
        size=size,
        splits=SPLITS,
    )
    weights = sums.softmax(2).unsqueeze(-1)
    return (parts * weights).sum(2).view(tokens, heads, width).to(queries.dtype)
