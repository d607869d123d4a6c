"""Under which name an answer is kept: a keyed digest of all that it depends on.

That is: for whom it is kept (tenant or route), the hash of all documents in force (so also of the
privacy policy, by which the input was redacted), arm, model, version and the revision that its
instances report, whether parts were asked for one by one, and the input. The digest is keyed
(BLAKE2b, RFC 7693), so that whoever can read a shared store can't try out what was asked.
"""

import hmac
from functools import lru_cache
from hashlib import blake2b

import orjson

from protos import schedule
from protos.exchange_objects import bytes_of
from protos.route.policies import Cache
from protos.route.snapshot import RouteSnapshot
from protos.timeline import Target
from protos.values import Context, InferRequest, OpenAi, Parameters

MIN_KEY = 16  # bytes
SIZE = 32  # bytes of a digest
# How long and how soon, not what: these don't change an answer. Those that we don't know may.
_IRRELEVANT = frozenset(("priority", schedule.TIMEOUT))
_NUMBER = 8  # bytes of a number, about
# Longer heads aren't remembered: they would take memory that nobody counts.
_COMMON_NAME = 64
_COMMON_RANK = 8


class Keys:
    """Digests under one secret."""

    def __init__(self, secret: bytes) -> None:
        """Raises ValueError for a secret of fewer than 16 bytes."""
        if len(secret) < MIN_KEY:
            raise ValueError(f"the cache key has {len(secret)} bytes, {MIN_KEY} are needed")
        # Derived, so that no other use of the secret meets this one.
        self._keyed = blake2b(
            key=hmac.digest(secret, b"penstock cache names", "sha512"), digest_size=SIZE
        )
        # What requests to one arm have in common is hashed once.
        self._begun = lru_cache(4096)(self._begin)

    def of(
        self,
        request: InferRequest,
        route: RouteSnapshot,
        rule: Cache,
        target: Target,
        revision: str,
    ) -> bytes:
        """The digest of a request that goes to `target`, whose model is of that revision."""
        context = request.context
        hashed = self._begun(
            whose(rule, context),
            route.name,
            route.revision,
            target.arm,
            target.model,
            target.version,
            revision,
            context.streaming,
        ).copy()
        payload = request.payload
        pieces: list[bytes | bytearray | memoryview] = []
        if isinstance(payload, OpenAi):
            # Its keys stay in their order: templates write tools into the prompt as they come.
            body = orjson.dumps(payload.body)
            pieces += (b"%d:" % len(body), type(payload).__name__.encode(), b"\0", body)
        else:
            tensors = payload.tensors
            if len(tensors) > 1:
                tensors = tuple(sorted(tensors, key=lambda tensor: tensor.name))
            for tensor in tensors:
                pieces += (_head(tensor.name, tensor.datatype, tensor.shape), tensor.data)
            if payload.wanted:
                pieces.append(_joined("wanted", *payload.wanted))
        if request.parameters:
            pieces.append(_relevant(request.parameters))
        hashed.update(b"".join(pieces))
        return hashed.digest()

    def _begin(self, *parts: str | bool) -> "blake2b":
        hashed = self._keyed.copy()
        hashed.update(_joined(*map(str, parts)))
        return hashed

    def __repr__(self) -> str:
        return "<Keys>"


def whose(rule: Cache, context: Context) -> str:
    """Who shares an answer: a tenant with itself, or all tenants of a route."""
    return f"tenant {context.principal.tenant}" if rule.scope == "tenant" else "route"


def size_of(request: InferRequest) -> int:
    """About how many bytes a digest has to cover."""
    payload, size = request.payload, 0
    if isinstance(payload, OpenAi):
        size = bytes_of(payload)
    else:
        for tensor in payload.tensors:
            size += len(tensor.data) + len(tensor.name) + _NUMBER * len(tensor.shape)
        for name in payload.wanted:
            size += len(name)
    for name, value in request.parameters.items():
        size += len(name) + (len(value) if isinstance(value, str) else _NUMBER)
    return size


def _head(name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    if len(name) > _COMMON_NAME or len(shape) > _COMMON_RANK:
        return _new_head(name, datatype, shape)
    return _common_head(name, datatype, shape)


def _new_head(name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    # Datatype and shape say how long the data is, or the data does itself (BYTES).
    return _joined("tensor", name, datatype, *map(str, shape))


_common_head = lru_cache(4096)(_new_head)


def _relevant(parameters: Parameters) -> bytes:
    names = sorted(parameters.keys() - _IRRELEVANT)
    if not names:
        return b""
    # repr tells True from 1 from 1.0, as models may; and knows NaN and large integers.
    parts = [part for name in names for part in (name, repr(parameters[name]))]
    return _joined("parameters", *parts)


def _joined(*parts: str) -> bytes:
    """With their number and lengths, so that no two lists of parts are alike."""
    raws = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"%d|" % len(raws) + b"".join([b"%d:%b" % (len(raw), raw) for raw in raws])
