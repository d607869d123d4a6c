"""Requests that kill whoever executes them, by fingerprint within their tenant.

What one worker of a gateway has found out the others are told, or each would lose two backends.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable

import orjson

from protos.errors import Kind, PenstockError
from protos.values import InferRequest, OpenAi

POISON_TTL = 600.0  # seconds
POISON_ENTRIES = 1024


class Poison:
    """Fingerprints of requests that were in flight at two crashes; bounded, they age.

    `on_found` is called when one was found here.
    """

    def __init__(self, on_found: Callable[[], object] = lambda: None) -> None:
        self._until: OrderedDict[bytes, float] = OrderedDict()
        self._found: list[bytes] = []
        self._on_found = on_found

    def add(self, request: InferRequest, now: float) -> None:
        key = fingerprint(request)
        self.learn(key, now + POISON_TTL)
        self._found = [*self._found[1 - POISON_ENTRIES :], key]
        self._on_found()

    def learn(self, key: bytes, until: float) -> None:
        """Refuses what has this fingerprint until then."""
        self._until[key] = until
        while len(self._until) > POISON_ENTRIES:
            self._until.popitem(last=False)

    def holds(self, request: InferRequest, now: float) -> bool:
        if not self._until:  # the usual case costs nothing
            return False
        key = fingerprint(request)
        until = self._until.get(key)
        if until is not None and until < now:
            del self._until[key]
            return False
        return until is not None

    def known(self, now: float) -> dict[bytes, float]:
        """The fingerprints, and for how many seconds each is refused yet."""
        return {key: until - now for key, until in self._until.items() if until > now}

    def take(self) -> list[bytes]:
        """What was found here since the last time."""
        found, self._found = self._found, []
        return found


def fingerprint(request: InferRequest) -> bytes:
    """A digest of the tenant, the model and the exact input."""
    digest = hashlib.blake2b(digest_size=16)
    for text in (request.context.principal.tenant, request.model, request.version):
        digest.update(text.encode() + b"\0")
    payload = request.payload
    if isinstance(payload, OpenAi):
        digest.update(orjson.dumps(payload.body))
    for tensor in payload.tensors:
        digest.update(f"{tensor.name}\0{tensor.datatype}\0{tensor.shape}\0".encode())
        digest.update(tensor.data)
    return digest.digest()


def poisonous() -> PenstockError:
    return PenstockError(
        Kind.MODEL_FAILED, "this input made its backend crash and is not tried again"
    )
