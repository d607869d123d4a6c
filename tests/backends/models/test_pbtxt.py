"""Triton's config.pbtxt is understood as far as Penstock goes, and the rest is named."""

import pytest

from backends.models.config import Latest, ModelConfig
from backends.models.pbtxt import parse
from protos.strict_yaml import ConfigError

FULL = """
name: "digits"
backend: "onnxruntime"
max_batch_size: 16
input [
  { name: "x" data_type: TYPE_FP32 dims: [ 8, -1 ] },
  { name: "text", data_type: TYPE_STRING, dims: [1] optional: true }
]
output { name: "y" data_type: TYPE_FP32 dims: 10 }
dynamic_batching {
  preferred_batch_size: [ 4, 8 ]
  max_queue_delay_microseconds: 100
  priority_levels: 4
  default_priority_level: 3
  default_queue_policy { max_queue_size: 3 }
}
instance_group [ { count: 2 kind: KIND_CPU } ]
optimization { cuda { graphs: true } }
version_policy: { latest { num_versions: 2 } }
model_warmup [
  { name: "w" batch_size: 1
    inputs { key: "x" value: { data_type: TYPE_FP32 dims: [8, 5] zero_data: true } } }
]
model_transaction_policy { decoupled: false }
response_cache { enable: true }
parameters { key: "path" value { string_value: "there" } }
"""


def test_what_is_understood() -> None:
    config, _ = parse(FULL, "config.pbtxt")
    assert (config.name, config.runtime, config.versions) == ("digits", "onnx", Latest(latest=2))
    assert config.batching.max == 16
    assert config.batching.max_delay == 0.0001
    assert (config.priority.levels, config.priority.default) == (4, 3)
    # Triton leaves the rows out of the shapes, the protocol shows them.
    assert [tensor.shape for tensor in config.inputs] == [(-1, 8, -1), (-1, 1)]
    assert [tensor.datatype for tensor in config.inputs] == ["FP32", "BYTES"]
    assert config.inputs[1].optional
    assert config.outputs[0].shape == (-1, 10)
    assert config.warm_up.data == "zeros"
    assert config.warm_up.lengths == {"x.1": 8, "x.2": 5}
    assert config.parameters == {"path": "there"}


def test_what_has_no_effect_is_named() -> None:
    _, warnings = parse(FULL, "config.pbtxt")
    named = [warning.split(" ")[1] for warning in warnings]
    assert named == [
        "dynamic_batching.preferred_batch_size",
        "dynamic_batching.default_queue_policy",
        "instance_group",
        "optimization",
        "response_cache",
    ]


def test_an_empty_file_leaves_everything_to_the_artifact() -> None:
    config, warnings = parse("", "config.pbtxt")
    assert config.batching.max is None
    assert config.inputs == ()
    assert warnings == ()


def test_without_max_batch_size_a_written_out_model_does_not_batch() -> None:
    config, _ = parse('input { name: "x" data_type: TYPE_BF16 dims: [4] }', "config.pbtxt")
    assert config.batching.max == 0
    assert config.inputs[0].shape == (4,)
    assert config.inputs[0].datatype == "BF16"


def test_without_dynamic_batching_nobody_waits_for_company() -> None:
    config, _ = parse("max_batch_size: 8", "config.pbtxt")
    assert config.batching.max_delay == 0.0


def test_specific_versions() -> None:
    config, _ = parse("version_policy { specific { versions: [1, 3] } }", "config.pbtxt")
    assert config.versions == (1, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_bach_size: 3", 'unknown field "max_bach_size"; did you mean "max_batch_size"?'),
        ("dynamic_batching { max_queue_delay_microsecond: 3 }", 'did you mean "max_queue_delay'),
        ("max_batch_size: x", "not a valid ModelConfig"),
        ("input {", "not a valid ModelConfig"),
        ('backend: "tensorrt"', '"tensorrt" is not served; known are onnxruntime'),
        ('input { name: "x" data_type: TYPE_FP8 }', "not a valid ModelConfig"),
        ("input { data_type: TYPE_FP32 dims: [1] }", "inputs[0].name"),
        ("max_batch_size: -1", "batching.max"),
        ('name: "../x"', "name: names that begin with a dot"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "config.pbtxt")
    assert message in str(caught.value)
    assert str(caught.value).startswith("config.pbtxt:")


def test_defaults_are_those_of_model_yaml() -> None:
    config, _ = parse("", "config.pbtxt")
    assert config.priority == ModelConfig().priority
    assert config.versions == "all"


def test_an_unknown_datatype_is_refused_with_its_number() -> None:
    text = 'input [ { name: "x" data_type: 99 dims: [ 4 ] } ]'
    with pytest.raises(ConfigError, match=r'"x".*data_type 99 is unknown'):
        parse(text, "config.pbtxt")
