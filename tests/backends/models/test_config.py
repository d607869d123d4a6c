"""model.yaml: everything may be left out, and what is wrong is answered with line and key."""

import pytest

from backends.models.config import Latest, ModelConfig, name_fault
from protos.strict_yaml import ConfigError, load


def read(text: str) -> ModelConfig:
    return load(text, "model.yaml", ModelConfig)


def test_an_empty_file_says_nothing() -> None:
    assert read("") == ModelConfig()


def test_a_full_file() -> None:
    config = read(
        """
        name: digits
        runtime: torch
        versions: {latest: 2}
        inputs: [{name: x, datatype: FP32, shape: [-1, 64]}]
        outputs: [{name: y, datatype: INT64, shape: [-1]}]
        batching: {max: 64, sizes: [1, 8, 64], maxDelay: 2ms, maxQueueRows: 1000, stallAfter: 3s}
        padding: {length: {sizes: [16, 32], values: {ids: 0, mask: 0}, axes: {ids: 1, mask: 1}}}
        priority: {levels: 4, default: 3}
        precision: bf16
        compile: true
        threads: 2
        idempotent: false
        memory: 200MB
        warmUp: {data: zeros, lengths: {length: 16}}
        parameters: {temperature: 0.5}
        """
    )
    assert config.versions == Latest(latest=2)
    assert config.inputs[0].spec().shape == (-1, 64)
    assert config.batching.max_delay == 0.002
    assert config.padding["length"].axes == {"ids": 1, "mask": 1}
    assert config.memory == 200_000_000
    assert config.parameters == {"temperature": 0.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batchin: {}", '1: batchin: unknown key; did you mean "batching"?'),
        ("batching: {maxDelay: 2}", "1: batching.maxDelay: a duration is written"),
        ("batching: {sizes: [4, 2]}", "1: batching: sizes: must ascend"),
        ("batching: {max: 8, sizes: [2, 4]}", "1: batching: sizes: the last must be max, 8"),
        ("batching: {max: -1}", "1: batching.max: should be greater than or equal to 0"),
        ("versions: newest", "1: versions: should be 'all' or"),
        ("versions: [0]", "1: versions[0]: should be greater than or equal to 1"),
        ("inputs: [{name: x, datatype: fp32, shape: []}]", "1: inputs[0].datatype: there is no"),
        ("inputs: [{name: x, datatype: FP32, shape: [-2]}]", "1: inputs[0].shape[0]: should be"),
        (
            "outputs:\n- {name: x, datatype: FP32, shape: [1]}"
            "\n- {name: x, datatype: BOOL, shape: [1]}",
            '1: outputs: "x" is given twice',
        ),
        ("padding: {s: {sizes: []}}", "1: padding.s.sizes: "),
        ("priority: {levels: 2, default: 3}", "1: priority: default: 3 is beyond the 2 levels"),
        ("name: ../up", "1: name: names that begin with a dot"),
        ("name: a/b", "1: name: a model's name has"),
        ("warmUp: {samples: ../x.npz}", "1: warmUp.samples: must be the name of an .npz"),
        ("precision: fp8", "1: precision: should be 'fp32', 'fp16' or 'bf16'"),
        ("compile: yes", "1: compile: should be a valid boolean"),
        ('threads: "2"', "1: threads: should be a valid integer"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert str(caught.value).startswith(f"model.yaml:{message}")


@pytest.mark.parametrize("name", ["digits", "A-1_b.c", "9", "x" * 128])
def test_names_that_are_served(name: str) -> None:
    assert name_fault(name) is None


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a b", "ä", "a/b", "a\n", "x" * 129])
def test_names_that_are_not(name: str) -> None:
    assert name_fault(name)
