"""How a prompt begins, under names that gateways and backends find alike without a tokeniser.

A language model's backend keeps what it has computed of a prompt, and the next request that begins
with the same text is answered sooner there. Whoever picks an endpoint sees text, never tokens, so
both ends cut the text of a prompt at the same places and name each beginning by a digest of all
before it, of the tenant and the model (an adapter is one). A beat carries the names of what is kept
as a Bloom filter (1970), salted by the instance's access key: who has a filter but not the key can
test no guess of a prompt with it, nor compare it with another instance's. The key is in beats, too,
so who reads those, as gateways do, can test guesses of whole beginnings.

Names are looked for from the shortest on, up to the first that isn't there. Whatever is kept has
its own beginnings kept too, so a wrong "yes" of the filter matters only at that place: it makes a
beginning look one place longer, hardly ever more, and costs at most a pick that could be better.
"""

import struct
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import orjson

from protos.values import Chat, JsonObject, OpenAi, Payload, Prompt, Tensors

# Where text is cut: at each end of a message and at multiples of STEP, but no sooner after the last
# place than a sixteenth (quarter) of what is before it. So long prompts have few names: 6 in 2 KiB,
# 18 in 64 KiB.
STEP = 256  # bytes
NEAREST = 16
MOST = 1 << 16  # bytes; what is longer is told apart by its beginning

MOST_NAMES = 4096  # in a filter
MOST_BYTES = 2048
_LEAST_BYTES = 64
_BITS_A_NAME = 8
_FIRST, _SECOND = 48, 32  # of 64 mixed bits, where those begin that are a name's two places
_MIX = 0x9E3779B97F4A7C15  # odd, so nothing is lost: Knuth's multiplicative hashing

# What changes how a chat begins, beside its messages.
_HEADS = ("tools", "functions", "documents", "chat_template", "chat_template_kwargs", "cache_salt")


class Prefixes(NamedTuple):
    """The beginnings of a prompt of `length` bytes, the shortest first.

    That of a prompt of more than MOST bytes is about so: what has no name isn't encoded to be
    counted. Each has an end in `ends`, and in `names` a name of 64 bits.
    """

    length: int
    ends: Sequence[int]
    names: Sequence[int]

    def reach(self, kept: Callable[[int], bool]) -> int:
        """Bytes of the longest beginning of which, and of all before it, `kept` says yes."""
        found = 0
        for name, end in zip(self.names, self.ends, strict=True):
            if not kept(name):
                break
            found = end
        return found


NONE = Prefixes(0, (), ())


def prefixes_of(payload: Payload | OpenAi, tenant: str, model: str) -> Prefixes:
    """Those of a chat, a single prompt in text, or a tensor of it; of anything else none."""
    length = 0
    if isinstance(payload, Chat):
        text, ends = _messages(payload.body.get("messages"))
        head = _head(payload.body)
        length = payload.size if len(text) >= MOST else 0
    elif isinstance(payload, Prompt):
        prompt, head = _prompt(payload.body.get("prompt")), b""
        text = prompt[:MOST].encode("utf-8", "surrogatepass")
        ends = [len(text)]
        length = len(prompt)
    elif isinstance(payload, Tensors) and len(payload.tensors) == 1:
        tensor = payload.tensors[0]
        if tensor.datatype != "BYTES" or len(tensor.data) < 4 + NEAREST:
            return NONE
        text, head = bytes(tensor.data[4 : 4 + int.from_bytes(tensor.data[:4], "little")]), b""
        ends = [len(text)]
    else:
        return NONE
    if len(text) < NEAREST:
        return NONE
    chain = blake2b(head, digest_size=8, key=_key(tenant, model))
    places: list[int] = []
    digests: list[bytes] = []
    last = 0
    for at in _places(ends):
        chain.update(text[last:at])
        places.append(at)
        digests.append(chain.copy().digest())
        last = at
    names = struct.unpack(f"<{len(places)}Q", b"".join(digests))
    return Prefixes(max(length, len(text)), places, names)


def _places(ends: Sequence[int]) -> list[int]:
    """Where a text is cut whose messages have these ends."""
    places: list[int] = []
    last = 0
    for end in ends:
        if end > MOST:
            end = MOST
        while True:
            # The first multiple of STEP that is a quarter of itself after the last place.
            at = -(-(last + last // 3 + 1) // STEP) * STEP
            if at >= end:
                break
            places.append(at)
            last = at
        if end - last >= NEAREST and end - last >= end >> 4:
            places.append(end)
            last = end
    return places


def _messages(messages: object) -> tuple[bytes, list[int]]:
    """Their text as far as it has names, and where each of them ends in it."""
    pieces: list[bytes] = []
    ends: list[int] = []
    length = 0
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content")
        if type(content) is str and len(message) == 2:
            piece = f"{message.get('role')}\0{content}\0".encode("utf-8", "surrogatepass")
        else:
            piece = orjson.dumps(message, option=orjson.OPT_SORT_KEYS)
        pieces.append(piece)
        length += len(piece)
        ends.append(length)
        if length >= MOST:
            break
    return b"".join(pieces), ends


def _prompt(prompt: object) -> str:
    if isinstance(prompt, list) and len(prompt) == 1:
        (prompt,) = prompt
    return prompt if isinstance(prompt, str) else ""


def _head(body: JsonObject) -> bytes:
    found: Mapping[str, object] = {name: body[name] for name in _HEADS if body.get(name)}
    return orjson.dumps(found, option=orjson.OPT_SORT_KEYS) if found else b""


@lru_cache(1024)
def _key(tenant: str, model: str) -> bytes:
    return blake2b(f"{len(tenant)} {tenant}{model}".encode(), digest_size=32).digest()


def salt_of(access_key: str) -> int:
    """What an instance's filters are salted with: 64 bits."""
    return int.from_bytes(blake2b(access_key.encode(), digest_size=8).digest(), "little")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which names an instance has kept; empty `bits` for none.

    Two bits a name. With up to 2048 names a wrong "yes" comes in 5 % of the cases or fewer, with
    4096, the most, in 16 %.
    """

    bits: bytes
    salt: int

    @classmethod
    def of(cls, names: Sequence[int], salt: int) -> "Filter":
        """At most MOST_NAMES are taken, the first ones, into at most MOST_BYTES."""
        if not names:
            return cls(b"", salt)
        size = _LEAST_BYTES
        while size < MOST_BYTES and size * 8 < _BITS_A_NAME * len(names):
            size *= 2
        mixed = (np.array(names[:MOST_NAMES], np.uint64) ^ np.uint64(salt)) * np.uint64(_MIX)
        bits = np.zeros(size * 8, np.uint8)
        for shift in (_FIRST, _SECOND):
            bits[mixed >> np.uint64(shift) & np.uint64(size * 8 - 1)] = 1
        return cls(np.packbits(bits, bitorder="little").tobytes(), salt)

    def reach(self, prefixes: Prefixes, besides: Set[int]) -> int:
        """Bytes of the longest beginning that is kept, by this filter or as one of `besides`.

        Written out, as it is asked of every endpoint: 0.2 µs a name.
        """
        bits, salt = self.bits, self.salt
        mask = len(bits) * 8 - 1
        found = 0
        for name, end in zip(prefixes.names, prefixes.ends, strict=True):
            if name not in besides:
                if not bits:
                    break
                mixed = (name ^ salt) * _MIX
                at = mixed >> _FIRST & mask
                if not bits[at >> 3] >> (at & 7) & 1:
                    break
                at = mixed >> _SECOND & mask
                if not bits[at >> 3] >> (at & 7) & 1:
                    break
            found = end
        return found

    def __repr__(self) -> str:
        return f"<Filter of {len(self.bits)} bytes>"
