"""Beats that can't be: each is refused with a sentence that names the field."""

import ipaddress
from collections.abc import Callable
from math import inf, nan

import pytest

from gateway.beats import MAX_ACTIVITY_BYTES, MAX_STATE_BYTES, believe, keep_own
from gateway.told_models import Wrong
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
    said = pb.Beat.FromString(beat.SerializeToString())
    assert believe(beat, SENDER, ALLOWED) == []
    assert beat == said


def refused(change: Callable[[pb.Beat], object], sender: Principal = SENDER) -> str:
    beat = good()
    change(beat)
    with pytest.raises(Wrong) as caught:
        believe(beat, sender, ALLOWED)
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


@pytest.mark.parametrize("epoch", [0, 2**62, 2**64 - 1])
def test_an_epoch_leaves_room_for_a_later_one(epoch: int) -> None:
    assert refused(setting(epoch=epoch)).startswith("epoch: ")


def test_what_no_field_is_for_is_not_kept() -> None:
    beat = good()
    size = beat.ByteSize()
    beat.MergeFromString(b"\xfa\x7f\x80\x40" + b"y" * 0x2000)
    assert beat.ByteSize() > size
    believe(beat, SENDER, ALLOWED)
    assert beat.ByteSize() == size


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda beat: beat.load.adapters.append("x" * 513), "load.adapters: is longer"),
        (
            lambda beat: beat.load.language.add(adapters=["x" * 513]),
            "load.language[0].adapters: is longer",
        ),
        (
            lambda beat: beat.load.language.add(generated_tokens={"x" * 513: 1}),
            "load.language[0].generated_tokens: is longer",
        ),
        (
            lambda beat: beat.activity[0].dispatches.update({"x" * 513: 1}),
            "activity[0].dispatches: is longer",
        ),
        (
            lambda beat: beat.load.adapters.extend(["x" * 500] * (MAX_STATE_BYTES // 500)),
            "load: has more than 262144 bytes",
        ),
        (
            lambda beat: beat.activity.extend(
                [pb.ModelActivity(model="x" * 250)] * (MAX_ACTIVITY_BYTES // 250)
            ),
            "activity: has more than 1048576 bytes",
        ),
        (
            lambda beat: beat.models.models.extend([pb.Model(reason="r" * 4096)] * 128),
            "models: has more than 524288 bytes",
        ),
        (
            lambda beat: beat.MergeFromString(b"\xfa\x7f\x80\x80\x40" + b"y" * 0x100000),
            "load: has more than",
        ),
        (
            lambda beat: setattr(beat.load, "prefixes", b"x" * MAX_STATE_BYTES),
            "load: has more than",
        ),
    ],
)
def test_a_beat_is_bounded_in_all_its_parts(change: Callable[[pb.Beat], object], why: str) -> None:
    assert refused(change).startswith(why)


def test_what_a_beat_tells_is_of_its_own_models() -> None:
    beat = good()
    beat.activity.add(model="fraud", version="4")
    beat.activity.add(model="other-team", version="1")
    beat.load.language.add(model="fraud")
    beat.load.language.add(model="other-team")
    beat.load.language.add()  # of a server that doesn't tell its models apart
    keep_own(beat, beat.models)
    assert [(told.model, told.version) for told in beat.activity] == [("fraud", "3")]
    assert [told.model for told in beat.load.language] == ["fraud", ""]


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
