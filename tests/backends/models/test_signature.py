"""What artifact and owner say of a model becomes one signature and one batch policy."""

import pytest

from backends.batching.job import PadRule
from backends.models.config import ModelConfig
from backends.models.signature import DEFAULT_ROWS, Mismatch, powers, settle
from protos.strict_yaml import load
from protos.values import Signature, TensorSpec


def config(text: str = "") -> ModelConfig:
    return load(text, "model.yaml", ModelConfig)


def spec(name: str, shape: tuple[int, ...], *symbols: str | None) -> TensorSpec:
    return TensorSpec(name, "FP32", shape, symbols)


def signature(x: TensorSpec, y: TensorSpec, *, most: int = 0, decoupled: bool = False) -> Signature:
    return Signature("test", (x,), (y,), most, decoupled)


BATCHING = signature(spec("x", (-1, 4), "n", None), spec("y", (-1, 2), "n", None))
FIXED = signature(spec("x", (1, 4)), spec("y", (1, 2)))
TEXT = Signature(
    "test",
    (spec("ids", (-1, -1), "n", "length"), spec("mask", (-1, -1), "n", "length")),
    (spec("y", (-1, -1, 8), "n", "length", None),),
)


def test_what_can_batch_does_without_being_asked() -> None:
    settled, policy = settle(BATCHING, config())
    assert settled.max_batch_size == policy.max_rows == DEFAULT_ROWS
    assert policy.sizes == ()


@pytest.mark.parametrize(
    "artifact",
    [
        FIXED,
        signature(spec("x", (-1, 4), "n", None), spec("y", (2,))),
        signature(spec("x", ()), spec("y", (-1,))),
        signature(spec("x", (-1,), "length"), spec("y", (-1,), "found")),
        signature(spec("x", (-1, 4)), spec("y", (-1, 2)), decoupled=True),
        Signature("test", (), (spec("y", (-1,)),)),
    ],
    ids=["fixed", "fixed output", "scalar", "other symbol", "decoupled", "no inputs"],
)
def test_what_can_not_does_not(artifact: Signature) -> None:
    settled, policy = settle(artifact, config())
    assert settled.max_batch_size == policy.max_rows == 0


def test_unnamed_variable_dimensions_may_be_the_rows() -> None:
    _, policy = settle(signature(spec("x", (-1, 4)), spec("y", (-1,))), config())
    assert policy.max_rows == DEFAULT_ROWS


def test_the_artifact_bounds_the_rows() -> None:
    bounded = signature(spec("x", (-1, 4)), spec("y", (-1,)), most=8)
    assert settle(bounded, config())[1].max_rows == 8
    assert settle(bounded, config("batching: {max: 4}"))[1].max_rows == 4
    with pytest.raises(Mismatch, match=r"batching.max is 16, the artifact takes at most 8 rows"):
        settle(bounded, config("batching: {max: 16}"))


def test_batching_can_be_turned_off() -> None:
    settled, policy = settle(BATCHING, config("batching: {max: 0}"))
    assert (settled.max_batch_size, policy.max_rows, policy.sizes) == (0, 0, ())


def test_the_last_size_is_the_maximum() -> None:
    _, policy = settle(BATCHING, config("batching: {sizes: [1, 6]}"))
    assert (policy.max_rows, policy.sizes) == (6, (1, 6))


@pytest.mark.parametrize("text", ["compile: true", ""])
def test_few_sizes_are_executed_where_each_costs_a_compilation(text: str) -> None:
    _, policy = settle(BATCHING, config(text), fixed_sizes=not text)
    assert policy.sizes == (1, 2, 4, 8, 16, 32)


@pytest.mark.parametrize(
    ("rows", "sizes"), [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (8, (1, 2, 4, 8))]
)
def test_powers(rows: int, sizes: tuple[int, ...]) -> None:
    assert powers(rows) == sizes


def test_the_configuration_may_narrow_the_artifact() -> None:
    loose = signature(spec("x", (-1, -1), "n", "m"), spec("y", (-1,)))
    settled, _ = settle(loose, config("inputs: [{name: x, datatype: FP32, shape: [-1, 4]}]"))
    assert settled.inputs[0].shape == (-1, 4)


def test_promises_are_the_owners() -> None:
    settled, _ = settle(BATCHING, config("idempotent: false"))
    assert not settled.idempotent


def test_the_policy_is_the_owners() -> None:
    text = """
    batching: {maxDelay: 5ms, maxQueueRows: 7, stallAfter: 9s}
    priority: {levels: 5, default: 4}
    """
    _, policy = settle(BATCHING, config(text))
    assert (policy.max_delay, policy.max_queue_rows, policy.stall_after) == (0.005, 7, 9.0)
    assert (policy.priority_levels, policy.default_priority) == (5, 4)


def test_padding_finds_its_dimension_by_name() -> None:
    text = "padding: {length: {sizes: [8, 16], values: {ids: 3}}}"
    _, policy = settle(TEXT, config(text))
    assert policy.pads == (
        PadRule("length", {"ids": 1, "mask": 1}, {"ids": 3.0, "mask": 0.0}, (8, 16)),
    )


def test_padding_names_dimensions_that_have_no_name() -> None:
    nameless = signature(spec("x", (-1, -1)), spec("y", (-1, -1)))
    text = "padding: {length: {sizes: [8], axes: {x: 1, y: 1}}}"
    settled, policy = settle(nameless, config(text))
    assert policy.pads == (PadRule("length", {"x": 1}, {"x": 0.0}, (8,)),)
    assert settled.outputs[0].symbols == (None, "length")


@pytest.mark.parametrize(
    ("artifact", "text", "message"),
    [
        (
            BATCHING,
            "inputs: [{name: X, datatype: FP32, shape: [-1, 4]}]",
            'has no "X"; known are x',
        ),
        (
            BATCHING,
            "inputs: [{name: x, datatype: FP16, shape: [-1, 4]}]",
            '"x" is FP16 in the configuration and FP32 in the artifact',
        ),
        (BATCHING, "outputs: [{name: y, datatype: FP32, shape: [-1, 3]}]", '"y" has shape [-1, 3]'),
        (BATCHING, "outputs: [{name: y, datatype: FP32, shape: [-1]}]", '"y" has shape [-1] in'),
        (FIXED, "batching: {max: 4}", 'the first dimension of "x" is not variable: [1, 4]'),
        (
            signature(spec("x", (-1,)), spec("y", (-1,)), decoupled=True),
            "batching: {max: 4}",
            "a decoupled model answers one request at a time",
        ),
        (TEXT, "padding: {lenght: {sizes: [8]}}", 'name it with axes; did you mean "length"?'),
        (TEXT, "padding: {n: {sizes: [8]}}", "dimension 0 is the rows"),
        (TEXT, "padding: {length: {sizes: [8], values: {x: 1}}}", '"x" has no such dimension'),
        (TEXT, "padding: {l: {sizes: [8], axes: {z: 1}}}", 'there is no "z"'),
        (BATCHING, "padding: {l: {sizes: [8], axes: {x: 1}}}", 'axis 1 of "x" is not variable'),
        (BATCHING, "padding: {l: {sizes: [8], axes: {x: 9}}}", 'axis 9 of "x" is not variable'),
    ],
)
def test_contradictions_are_named(artifact: Signature, text: str, message: str) -> None:
    with pytest.raises(Mismatch) as caught:
        settle(artifact, config(text))
    assert message in str(caught.value)
