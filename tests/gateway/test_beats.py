"""Beats that can't be: each is refused with a sentence that names the field."""

import ipaddress
from collections.abc import Callable
from math import inf, nan

import pytest

from gateway.beats import MAX_MODELS, Wrong, check_beat
from protos import discovery_pb2 as pb
from protos.principal import Principal

ALLOWED = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))
SENDER = Principal("backend", "mesh", frozenset({"backend:join"}))


def good() -> pb.Beat:
    beat = pb.Beat(instance="a", epoch=1, address="10.0.0.1:80", access_key="k", healthy=True)
    model = beat.models.models.add(name="fraud", version="3", state=pb.READY, max_batch_size=8)
    model.inputs.add(name="x", datatype="FP32", shape=[-1, 4])
    model.outputs.add(name="y", datatype="BYTES", shape=[-1])
    beat.models.models.add(name="broken", state=pb.UNAVAILABLE, reason="no file in it")
    beat.activity.add(model="fraud", version="3").queue.MergeFrom(
        pb.Distribution(bounds=[1, 2], counts=[0, 1, 0], sum=1.5)
    )
    beat.accelerators.add(device="cuda:0", utilization=0.5, temperature_celsius=-5)
    return beat


@pytest.mark.parametrize("address", ["10.0.0.1:1", "10.255.0.1:65535", "[fd00::1]:80"])
def test_what_backends_send_is_taken(address: str) -> None:
    beat = good()
    beat.address = address
    check_beat(beat, SENDER, ALLOWED)


def refused(change: Callable[[pb.Beat], object], sender: Principal = SENDER) -> str:
    beat = good()
    change(beat)
    with pytest.raises(Wrong) as caught:
        check_beat(beat, sender, ALLOWED)
    return str(caught.value)


def setting(**fields: object) -> Callable[[pb.Beat], None]:
    def change(beat: pb.Beat) -> None:
        for name, value in fields.items():
            setattr(beat, name, value)

    return change


@pytest.mark.parametrize("instance", ["", "a" * 129, "a\nb", "a\0b", "\u202e"])
def test_an_instance_has_a_name(instance: str) -> None:
    assert refused(setting(instance=instance)).startswith("instance: must be 1 to 128")


def test_what_stands_in_logs_has_one_line() -> None:
    assert refused(setting(runtime="torch\nINFO all is well")).startswith("runtime: must be")
    assert refused(setting(device="cpu\x0b")).startswith("device: must be")


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("11.0.0.1:80", "11.0.0.1 is outside the networks"),
        ("[::ffff:11.0.0.1]:80", "outside the networks"),
        ("127.0.0.1:80", "outside the networks"),
        ("10.0.0.1", "is not IP:port"),
        ("localhost:80", "is not IP:port"),
        ("10.0.0.1:", "has no valid port"),
        ("10.0.0.1:0", "has no valid port"),
        ("10.0.0.1:65536", "has no valid port"),
        ("10.0.0.1:-1", "has no valid port"),
        ("10.0.0.1:²", "has no valid port"),
        ("10.0.0.1:٨٠", "has no valid port"),
        ("10.0.0.1:" + "9" * 5000, "has no valid port"),
        ("[[10.0.0.1]]:80", "is not IP:port"),
        ("unix:/run/docker.sock", "is not IP:port"),
        ("10.0.0.1:80\r\nHost: x", "is not IP:port"),
        ("", "is not IP:port"),
    ],
)
def test_an_address_is_a_number_within_the_allowed_networks(address: str, why: str) -> None:
    said = refused(setting(address=address))
    assert said.startswith("address: ")
    assert why in said
    assert len(said) < 200


def model(**fields: object) -> Callable[[pb.Beat], object]:
    return lambda beat: beat.models.models.add(
        **{"name": "other", "version": "1", "state": pb.READY, **fields}  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (model(name=""), "models[2].name: must be 1 to 256"),
        (model(name="a\nb"), "models[2].name: must be"),
        (model(name="m" * 257), "models[2].name: must be"),
        (model(version="1" * 257), "models[2].version: is longer"),
        (model(state=99), "models[2].state: 99 is unknown"),
        (model(reason="r" * 4097), "models[2].reason: is longer"),
        (model(name="fraud", version="3"), 'models[2]: "fraud" 3 is there twice'),
        (
            model(inputs=[pb.TensorSpec(name="x", datatype="FLOAT")]),
            'models[2].inputs[0].datatype: "FLOAT" is unknown',
        ),
        (
            model(outputs=[pb.TensorSpec(name="x", datatype="FP32", shape=[-2])]),
            "models[2].outputs[0]: shape has a negative dimension, -2",
        ),
        (
            model(inputs=[pb.TensorSpec(name="x", datatype="FP32", shape=[1] * 65)]),
            "models[2].inputs[0]: shape has 65 dimensions",
        ),
        (
            model(inputs=[pb.TensorSpec(name="x", datatype="FP32", shape=[-1, 2**40])]),
            "models[2].inputs[0]: shape has more than",
        ),
        (
            model(inputs=[pb.TensorSpec(name="x", datatype="FP32")] * 2),
            "models[2].inputs: a name is there twice",
        ),
        (
            model(inputs=[pb.TensorSpec(name="x", datatype="FP32")] * 1025),
            "models[2].inputs: there are 1025",
        ),
    ],
)
def test_models_are_what_faces_can_show(change: Callable[[pb.Beat], object], why: str) -> None:
    assert refused(change).startswith(why)


def test_a_backend_has_a_bounded_number_of_models() -> None:
    def many(beat: pb.Beat) -> None:
        beat.models.models.extend([pb.Model(name="m")] * MAX_MODELS)

    assert refused(many) == "models: there are 4098, more than 4096"


@pytest.mark.parametrize("number", [nan, inf, -inf, -1.0])
@pytest.mark.parametrize("field", ["cache_use", "prefix_byte_seconds", "adapter_seconds"])
def test_a_load_is_told_in_numbers(field: str, number: float) -> None:
    said = refused(lambda beat: setattr(beat.load, field, number))
    assert said == "load: a number is negative, infinite or none at all"


@pytest.mark.parametrize(
    ("bounds", "why"),
    [
        ([2.0, 1.0], "bounds must ascend"),
        ([nan], "a number is negative"),
        ([1.0] * 129, "bounds: there are 129"),
    ],
)
def test_distributions_have_buckets(bounds: list[float], why: str) -> None:
    said = refused(lambda beat: beat.activity[0].queue.bounds.__setitem__(slice(None), bounds))
    assert said.startswith("activity[0]")
    assert why in said


def test_a_token_for_some_models_is_not_for_others() -> None:
    mine = Principal("b", "mesh", frozenset({"backend:join:fraud-*", "backend:join:broken"}))
    said = refused(lambda beat: None, mine)
    assert said == 'models[0]: the token isn\'t for backends of "fraud"'
    beat = good()
    beat.models.models[0].name = "fraud-eu"
    check_beat(beat, mine, ALLOWED)
    assert "token" in refused(lambda beat: None, Principal("b", "m", frozenset({"infer:*"})))
