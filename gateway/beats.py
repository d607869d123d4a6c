"""What a beat may say. Who joins is authenticated, and may still be broken, or somebody's.

Everything that is made of beats (endpoints, pages, metrics, what other processes are told) relies
on this. Loads are believed within reason where they are used: one that is absurd only moves
requests, and measured latencies and breakers hold against it.
"""

import ipaddress
import math
from collections.abc import Collection, Iterable, Sized
from ipaddress import IPv4Network, IPv6Network

from gateway.told_models import MAX_REASON, Wrong, believe_models, check_name, check_text
from protos import discovery_pb2 as pb
from protos.names import MAX_CHARACTERS
from protos.principal import Principal
from protos.wording import quote

Network = IPv4Network | IPv6Network

MAX_BEAT_BYTES = 2 * 1024 * 1024
MAX_INSTANCE = 128  # characters
MAX_EPOCH = 2**62  # whoever comes next must be able to take a later one
MAX_NAMES = 4096  # of models that have done something, and of one model's adapters
MAX_LABEL = 512  # characters of an adapter's name, which has its model's before it
MAX_BUCKETS = 128
MAX_ACCELERATORS = 64
MAX_DISPATCHES = 64  # reasons for which batches are closed
# What is kept here for metrics, what every worker is sent beside the model table, and that.
MAX_ACTIVITY_BYTES = 1024 * 1024
MAX_STATE_BYTES = 256 * 1024
MAX_TABLE_BYTES = 512 * 1024


def believe(beat: pb.Beat, sender: Principal, allowed: Iterable[Network]) -> list[str]:
    """Leaves in the beat what can be believed; returns a sentence for each model that can't be.

    Raises Wrong for a beat that can't be, or that isn't the sender's to send.
    """
    _bytes(beat)  # with fields that this release doesn't know: their memory stays with the beat
    beat.DiscardUnknownFields()
    check_name(beat.instance, "instance", MAX_INSTANCE)
    if not 0 < beat.epoch < MAX_EPOCH:
        raise Wrong(f"epoch: {beat.epoch} is not between 1 and 2**62 - 1")
    _address(beat.address, allowed)
    check_text(beat.access_key, "access_key", MAX_CHARACTERS)
    for value, field in ((beat.device, "device"), (beat.runtime, "runtime")):
        if value:
            check_name(value, field, MAX_CHARACTERS)
    check_text(beat.unhealthy_reason, "unhealthy_reason", MAX_REASON)
    _load(beat.load)
    _work(beat)
    return believe_models(beat.models, sender) if beat.HasField("models") else []


def keep_own(beat: pb.Beat, models: pb.ModelTable) -> None:
    """Takes out of the beat what it tells of models that aren't in its own table.

    What that has is the sender's to serve, and bounded; all else would be evidence about others.
    """
    own = {(model.name, model.version) for model in models.models}
    names = {"", *(name for name, _ in own)}  # "": a server that doesn't tell its models apart
    activity = [told for told in beat.activity if (told.model, told.version) in own]
    if len(activity) < len(beat.activity):
        del beat.activity[:]
        beat.activity.extend(activity)
    language = [told for told in beat.load.language if told.model in names]
    if len(language) < len(beat.load.language):
        del beat.load.language[:]
        beat.load.language.extend(language)


def _bytes(beat: pb.Beat) -> None:
    """Sizes of messages are cheap; what surrounds a part, its tag and its length, is 8 at most."""
    activity = sum(8 + told.ByteSize() for told in beat.activity)
    table = 8 + (beat.models.ByteSize() if beat.HasField("models") else 0)
    for number, most, where in (
        (activity, MAX_ACTIVITY_BYTES, "activity"),
        (table, MAX_TABLE_BYTES, "models"),
        (beat.ByteSize() - activity - table, MAX_STATE_BYTES, "load"),
    ):
        if number > most:
            raise Wrong(f"{where}: has more than {most} bytes")


def _address(address: str, allowed: Iterable[Network]) -> None:
    host, _, port = address.rpartition(":")
    try:
        ip = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise Wrong(f"address: {quote(address)} is not IP:port") from None
    # Digits of other scripts are digits to str, and an endless number takes endless time.
    number = port.isascii() and port.isdecimal() and len(port) <= 5
    if not number or not 0 < int(port) < 65536:
        raise Wrong(f"address: {quote(address)} has no valid port")
    if not any(ip in network for network in allowed):
        raise Wrong(f"address: {ip} is outside the networks that backends may join from")


def _load(load: pb.Load) -> None:
    _numbers("load", (load.cache_use, load.prefix_byte_seconds, load.adapter_seconds))
    _names(load.adapters, "load.adapters", MAX_NAMES)
    _count(load.language, "load.language", MAX_NAMES)
    for i, told in enumerate(load.language):
        where = f"load.language[{i}]"
        check_text(told.model, f"{where}.model", MAX_CHARACTERS)
        _numbers(where, (told.cache_use,))
        _names(told.adapters, f"{where}.adapters", MAX_NAMES)
        _names(told.generated_tokens, f"{where}.generated_tokens", MAX_NAMES)


def _work(beat: pb.Beat) -> None:
    _count(beat.activity, "activity", MAX_NAMES)
    for i, told in enumerate(beat.activity):
        where = f"activity[{i}]"
        check_text(told.model, f"{where}.model", MAX_CHARACTERS)
        check_text(told.version, f"{where}.version", MAX_CHARACTERS)
        _names(told.dispatches, f"{where}.dispatches", MAX_DISPATCHES)
        _numbers(
            where,
            (told.predicted_seconds, told.actual_seconds, told.prediction_error_seconds),
        )
        for each in (told.batch_rows, told.queue, told.compute):
            _count(each.bounds, f"{where}: bounds", MAX_BUCKETS)
            _count(each.counts, f"{where}: counts", MAX_BUCKETS + 1)
            _numbers(where, (*each.bounds, each.sum))
            if list(each.bounds) != sorted(each.bounds):
                raise Wrong(f"{where}: bounds must ascend")
    _count(beat.accelerators, "accelerators", MAX_ACCELERATORS)
    for i, gpu in enumerate(beat.accelerators):
        check_text(gpu.device, f"accelerators[{i}].device", MAX_CHARACTERS)
        check_text(gpu.name, f"accelerators[{i}].name", MAX_CHARACTERS)
        # The one number that may be below zero is a temperature.
        _numbers(f"accelerators[{i}]", (gpu.utilization, gpu.power_watts))
        if not math.isfinite(gpu.temperature_celsius):
            raise Wrong(f"accelerators[{i}].temperature_celsius: is no finite number")


def _names(values: Collection[str], where: str, most: int) -> None:
    """They become labels."""
    _count(values, where, most)
    for value in values:
        check_text(value, where, MAX_LABEL)


def _count(values: Sized, where: str, most: int) -> None:
    if len(values) > most:
        raise Wrong(f"{where}: there are {len(values)}, more than {most}")


def _numbers(where: str, values: Iterable[float]) -> None:
    if not all(0.0 <= value < math.inf for value in values):
        raise Wrong(f"{where}: a number is negative, infinite or none at all")
