"""The control side's JSON has the fields and types that the protocol's clients read."""

from dataclasses import dataclass

import orjson

from protos import open_inference_pb2 as pb
from protos import v2_metadata
from protos.values import Signature, TensorSpec


@dataclass
class Entry:
    name: str
    version: str
    state: str
    reason: str


def test_server_metadata():
    assert orjson.loads(v2_metadata.server("penstock", "1.0", ("binary_tensor_data",))) == {
        "name": "penstock",
        "version": "1.0",
        "extensions": ["binary_tensor_data"],
    }


def test_model_metadata_has_minus_one_for_a_variable_dimension():
    signature = Signature(
        "onnx",
        (TensorSpec("x", "FP32", (-1, 64), ("rows", None)),),
        (TensorSpec("y", "BYTES", (-1,)),),
        8,
    )
    assert orjson.loads(v2_metadata.model("m", ("1", "2"), signature)) == {
        "name": "m",
        "versions": ["1", "2"],
        "platform": "onnx",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 64]}],
        "outputs": [{"name": "y", "datatype": "BYTES", "shape": [-1]}],
    }


def test_repository_index():
    entries = [Entry("m", "1", "UNAVAILABLE", "no file")]
    assert orjson.loads(v2_metadata.index(entries)) == [
        {"name": "m", "version": "1", "state": "UNAVAILABLE", "reason": "no file"}
    ]


def test_statistics_are_numbers_even_beyond_53_bits():
    duration = pb.StatisticDuration(count=1, ns=2**63)
    model = pb.ModelStatistics(
        name="m", version="1", inference_stats=pb.InferStatistics(success=duration)
    )
    (found,) = orjson.loads(v2_metadata.statistics([model]))["model_stats"]
    assert found["inference_stats"] == {"success": {"count": 1, "ns": 2**63}}
    assert found["inference_count"] == 0
    assert found["batch_stats"] == []


def test_a_configuration_is_written_as_triton_does():
    config = pb.ModelConfig(name="m", max_batch_size=8)
    config.input.add(name="x", data_type=pb.TYPE_FP32, dims=[-1, 2**40])
    config.parameters["threads"].string_value = "2"
    config.version_policy.latest.num_versions = 1
    found = orjson.loads(v2_metadata.message(config))
    assert found["max_batch_size"] == 8
    assert found["input"] == [
        {
            "name": "x",
            "data_type": "TYPE_FP32",
            "format": "FORMAT_NONE",
            "dims": [-1, 2**40],
            "optional": False,
        }
    ]
    assert found["parameters"] == {"threads": {"string_value": "2"}}
    assert found["version_policy"] == {"latest": {"num_versions": 1}}
    assert "dynamic_batching" not in found


def test_an_enum_number_of_a_later_version_stays_a_number():
    assert v2_metadata.to_plain(pb.ModelInput(data_type=99))["data_type"] == 99
