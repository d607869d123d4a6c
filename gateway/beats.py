"""What a beat may say. Who joins is authenticated, and may still be broken, or somebody's.

Everything that is made of beats (endpoints, pages, metrics, what other processes are told) relies
on this. Loads are believed within reason where they are used: one that is absurd only moves
requests, and measured latencies and breakers hold against it.
"""

import ipaddress
import math
from collections.abc import Iterable, Sequence, Sized
from ipaddress import IPv4Network, IPv6Network

from protos import discovery_pb2 as pb
from protos.arrays import count
from protos.datatypes import DATATYPES
from protos.names import MAX_CHARACTERS, MAX_TENSORS
from protos.principal import Principal
from protos.wording import quote

Network = IPv4Network | IPv6Network

MAX_INSTANCE = 128  # characters
MAX_MODELS = 4096  # versions of one backend, and adapters of one model
MAX_REASON = 4096  # characters of why something isn't ready
MAX_BUCKETS = 128
MAX_ACCELERATORS = 64
MAX_DISPATCHES = 64  # reasons for which batches are closed


class Wrong(Exception):
    """Why a beat is refused: a sentence that begins with the field."""


def check_beat(beat: pb.Beat, sender: Principal, allowed: Iterable[Network]) -> None:
    """Raises Wrong for a beat that can't be, or that isn't the sender's to send."""
    _name(beat.instance, "instance", MAX_INSTANCE)
    _address(beat.address, allowed)
    _text(beat.access_key, "access_key", MAX_CHARACTERS)
    for value, field in ((beat.device, "device"), (beat.runtime, "runtime")):
        if value:
            _name(value, field, MAX_CHARACTERS)
    _text(beat.unhealthy_reason, "unhealthy_reason", MAX_REASON)
    if beat.HasField("models"):
        _models(beat.models.models, sender)
    _load(beat.load)
    _work(beat)


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


def _models(models: Sequence[pb.Model], sender: Principal) -> None:
    _count(models, "models", MAX_MODELS)
    seen: set[tuple[str, str]] = set()
    for i, model in enumerate(models):
        where = f"models[{i}]"
        # A folder that can't be served is told as a model without a version.
        _name(model.name, f"{where}.name", MAX_CHARACTERS)
        _text(model.version, f"{where}.version", MAX_CHARACTERS)
        if (model.name, model.version) in seen:
            raise Wrong(f"{where}: {quote(model.name)} {model.version} is there twice")
        seen.add((model.name, model.version))
        if not sender.may_join(model.name):
            raise Wrong(f"{where}: the token isn't for backends of {quote(model.name)}")
        if model.state not in pb.ModelState.values():  # proto3 reads any number
            raise Wrong(f"{where}.state: {model.state} is unknown")
        _text(model.reason, f"{where}.reason", MAX_REASON)
        _text(model.revision, f"{where}.revision", MAX_CHARACTERS)
        _text(model.platform, f"{where}.platform", MAX_CHARACTERS)
        _tensors(model.inputs, f"{where}.inputs")
        _tensors(model.outputs, f"{where}.outputs")


def _tensors(specs: Sequence[pb.TensorSpec], where: str) -> None:
    _count(specs, where, MAX_TENSORS)
    for i, spec in enumerate(specs):
        _name(spec.name, f"{where}[{i}].name", MAX_CHARACTERS)
        if spec.datatype not in DATATYPES:
            raise Wrong(f"{where}[{i}].datatype: {quote(spec.datatype)} is unknown")
        try:
            count(tuple(1 if size == -1 else size for size in spec.shape))
        except ValueError as error:
            raise Wrong(f"{where}[{i}]: {error}") from None
    if len({spec.name for spec in specs}) < len(specs):
        raise Wrong(f"{where}: a name is there twice")


def _load(load: pb.Load) -> None:
    _numbers("load", (load.cache_use, load.prefix_byte_seconds, load.adapter_seconds))
    _count(load.adapters, "load.adapters", MAX_MODELS)
    _count(load.language, "load.language", MAX_MODELS)
    for i, told in enumerate(load.language):
        where = f"load.language[{i}]"
        _text(told.model, f"{where}.model", MAX_CHARACTERS)
        _numbers(where, (told.cache_use,))
        _count(told.adapters, f"{where}.adapters", MAX_MODELS)
        _count(told.generated_tokens, f"{where}.generated_tokens", MAX_MODELS)


def _work(beat: pb.Beat) -> None:
    _count(beat.activity, "activity", MAX_MODELS)
    for i, told in enumerate(beat.activity):
        where = f"activity[{i}]"
        _text(told.model, f"{where}.model", MAX_CHARACTERS)
        _text(told.version, f"{where}.version", MAX_CHARACTERS)
        _count(told.dispatches, f"{where}.dispatches", MAX_DISPATCHES)
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
        _text(gpu.device, f"accelerators[{i}].device", MAX_CHARACTERS)
        _text(gpu.name, f"accelerators[{i}].name", MAX_CHARACTERS)
        # The one number that may be below zero is a temperature.
        _numbers(f"accelerators[{i}]", (gpu.utilization, gpu.power_watts))
        if not math.isfinite(gpu.temperature_celsius):
            raise Wrong(f"accelerators[{i}].temperature_celsius: is no finite number")


def _name(value: str, where: str, most: int) -> None:
    """What becomes a key, a label and a word in logs."""
    if not value or len(value) > most or not value.isprintable():
        raise Wrong(f"{where}: must be 1 to {most} printable characters")


def _text(value: str, where: str, most: int) -> None:
    if len(value) > most:
        raise Wrong(f"{where}: is longer than {most} characters")


def _count(values: Sized, where: str, most: int) -> None:
    if len(values) > most:
        raise Wrong(f"{where}: there are {len(values)}, more than {most}")


def _numbers(where: str, values: Iterable[float]) -> None:
    if not all(0.0 <= value < math.inf for value in values):
        raise Wrong(f"{where}: a number is negative, infinite or none at all")
