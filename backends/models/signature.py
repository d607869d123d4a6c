"""From what an artifact says of itself and what its owner says: signature and batch policy."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from backends.batching.job import BatchPolicy, PadRule
from backends.models.config import ModelConfig, TensorConfig
from protos.values import Signature, TensorSpec
from protos.wording import did_you_mean, quote

# The most rows of a batch where nobody said a number: enough to fill a CPU's vector units, few
# enough that a batch of an unknown model stays short.
DEFAULT_ROWS = 32


class Mismatch(Exception):
    """Artifact and configuration contradict each other; the sentence says where."""


def settle(
    artifact: Signature, config: ModelConfig, *, fixed_sizes: bool = False
) -> tuple[Signature, BatchPolicy]:
    """The signature that clients see and the policy that the scheduler follows.

    `artifact.max_batch_size` is the most rows that the artifact allows (0: it doesn't say).
    `fixed_sizes` says that each number of rows costs a compilation or a capture, so that few of
    them should be executed. Raises Mismatch.
    """
    inputs = _merged(artifact.inputs, config.inputs, "inputs")
    outputs = _merged(artifact.outputs, config.outputs, "outputs")
    signature = replace(
        artifact,
        inputs=inputs,
        outputs=outputs,
        decoupled=artifact.decoupled or config.decoupled,
        idempotent=config.idempotent,
    )
    rows = _rows(signature, config, artifact.max_batch_size)
    signature, pads = _padded(replace(signature, max_batch_size=rows), config)
    sizes = config.batching.sizes
    if rows and not sizes and (fixed_sizes or config.compile):
        sizes = powers(rows)
    policy = BatchPolicy(
        max_rows=rows,
        sizes=sizes if rows else (),
        max_delay=config.batching.max_delay,
        pads=pads,
        priority_levels=config.priority.levels,
        default_priority=config.priority.default,
        max_queue_rows=config.batching.max_queue_rows,
        stall_after=config.batching.stall_after,
    )
    return signature, policy


def powers(rows: int) -> tuple[int, ...]:
    """1, 2, 4, … and `rows` itself."""
    return (*(1 << power for power in range(rows.bit_length()) if 1 << power < rows), rows)


def _merged(
    specs: tuple[TensorSpec, ...], configured: tuple[TensorConfig, ...], what: str
) -> tuple[TensorSpec, ...]:
    said = {tensor.name: tensor for tensor in configured}
    for name in said:
        if all(spec.name != name for spec in specs):
            hint = did_you_mean(name, [spec.name for spec in specs])
            raise Mismatch(f"{what}: the artifact has no {quote(name)}{hint}")
    return tuple(_agreed(spec, said.get(spec.name), what) for spec in specs)


def _agreed(spec: TensorSpec, said: TensorConfig | None, what: str) -> TensorSpec:
    if said is None:
        return spec
    if said.datatype != spec.datatype:
        raise Mismatch(
            f"{what}: {quote(spec.name)} is {said.datatype} in the configuration and "
            f"{spec.datatype} in the artifact"
        )
    fits = len(said.shape) == len(spec.shape) and all(
        mine == theirs or -1 in (mine, theirs)
        for mine, theirs in zip(said.shape, spec.shape, strict=True)
    )
    if not fits:
        raise Mismatch(
            f"{what}: {quote(spec.name)} has shape {list(said.shape)} in the configuration and "
            f"{list(spec.shape)} in the artifact"
        )
    shape = tuple(max(pair) for pair in zip(said.shape, spec.shape, strict=True))
    return replace(spec, shape=shape, optional=spec.optional or said.optional)


def _rows(signature: Signature, config: ModelConfig, bound: int) -> int:
    wanted = config.batching.max
    if wanted is None and config.batching.sizes:
        wanted = config.batching.sizes[-1]
    if not wanted:
        if wanted is None and _batches(signature):
            return min(DEFAULT_ROWS, bound) if bound else DEFAULT_ROWS
        return 0
    if signature.decoupled:
        raise Mismatch("batching.max: a decoupled model answers one request at a time")
    if bound and wanted > bound:
        raise Mismatch(f"batching.max is {wanted}, the artifact takes at most {bound} rows")
    for spec in (*signature.inputs, *signature.outputs):
        if not spec.shape or spec.shape[0] != -1:
            raise Mismatch(
                f"batching.max is {wanted}, but the first dimension of {quote(spec.name)} is not "
                f"variable: {list(spec.shape)}"
            )
    return wanted


def _batches(signature: Signature) -> bool:
    """Whether the first dimension of every tensor is variable and may be the same one."""
    specs = (*signature.inputs, *signature.outputs)
    if signature.decoupled or not signature.inputs:
        return False
    first = {symbol for spec in specs for symbol in spec.symbols[:1] if symbol is not None}
    return len(first) <= 1 and all(spec.shape[:1] == (-1,) for spec in specs)


def _padded(signature: Signature, config: ModelConfig) -> tuple[Signature, tuple[PadRule, ...]]:
    rules = []
    for symbol, pad in config.padding.items():
        where = f"padding.{symbol}"
        if pad.axes:
            signature = _named(signature, symbol, pad.axes, where)
        axes = {
            spec.name: axis
            for spec in signature.inputs
            for axis, name in enumerate(spec.symbols)
            if name == symbol
        }
        if not axes:
            known = dict.fromkeys(
                name for spec in signature.inputs for name in spec.symbols if name
            )
            hint = did_you_mean(symbol, known)
            raise Mismatch(f"{where}: no input has such a dimension, name it with axes{hint}")
        if signature.max_batch_size and 0 in axes.values():
            raise Mismatch(f"{where}: dimension 0 is the rows, which are not padded")
        for name in pad.values:
            if name not in axes:
                raise Mismatch(f"{where}.values: {quote(name)} has no such dimension")
        values = {name: pad.values.get(name, 0.0) for name in axes}
        rules.append(PadRule(symbol, axes, values, pad.sizes))
    return signature, tuple(rules)


def _named(signature: Signature, symbol: str, axes: dict[str, int], where: str) -> Signature:
    """The signature with `symbol` at these tensors' axes."""
    names = [spec.name for spec in (*signature.inputs, *signature.outputs)]
    for name in axes:
        if name not in names:
            raise Mismatch(f"{where}.axes: there is no {quote(name)}{did_you_mean(name, names)}")

    def renamed(specs: Iterable[TensorSpec]) -> Iterator[TensorSpec]:
        for spec in specs:
            axis = axes.get(spec.name)
            if axis is None:
                yield spec
                continue
            if axis >= len(spec.shape) or spec.shape[axis] != -1:
                raise Mismatch(
                    f"{where}.axes: axis {axis} of {quote(spec.name)} is not variable: "
                    f"{list(spec.shape)}"
                )
            symbols = list(spec.symbols or (None,) * len(spec.shape))
            symbols[axis] = symbol
            yield replace(spec, symbols=tuple(symbols))

    return replace(
        signature,
        inputs=tuple(renamed(signature.inputs)),
        outputs=tuple(renamed(signature.outputs)),
    )
