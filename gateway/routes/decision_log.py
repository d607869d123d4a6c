"""Records where requests went, for `penstock routes plan`; see `routing/decisions.py`.

Users are written under a pseudonym: their unit encrypted as one block of AES-128 (FIPS 197), a
permutation that nobody can invert or try out without the key. The key stays in a file, which
`decisions.keyFile` names or the gateway makes; replicas that share a record store need the same.
"""

from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from gateway.own_key import given_key, own_key
from protos.route.snapshot import Arm, RouteSnapshot
from protos.timeline import Timeline
from protos.usage import rows
from protos.values import Context, InferRequest
from routing.decision_sampler import Sampler
from routing.decisions import SUBJECT, Decision, Wanted
from routing.rules.split import unit_by
from routing.rules.table import RouteTable

KEY_FILE = "decisions.key"
KEY_BYTES = 16
_AES_BYTES = 16
_MARK_BYTES = 4
_NOBODY = bytes(16)
# What a client called a model, as it may be recorded.
Named = Callable[[RouteSnapshot, str], str]

SUBJECTS = 10_000  # whose units are remembered; more are forgotten together


class Seal:
    """Seals units with a key of any length: 4 bytes that tell the key, and the encrypted unit."""

    def __init__(self, key: bytes) -> None:
        # One block a message, and each block of its own: ECB is the bare permutation.
        derived = blake2b(key, digest_size=_AES_BYTES, person=b"penstock units").digest()
        cipher = Cipher(AES(derived), ECB())  # noqa: S305
        self._seal = cipher.encryptor()
        self._open = cipher.decryptor()
        self._mark = blake2b(key, digest_size=_MARK_BYTES).digest()

    def seal(self, unit: bytes) -> bytes:
        return self._mark + self._seal.update(unit)

    def open(self, sealed: bytes) -> bytes | None:
        """The unit; None if another key sealed it."""
        if sealed[:_MARK_BYTES] != self._mark:
            return None
        return self._open.update(sealed[_MARK_BYTES:])


def read_key(folder: Path, given: Path | None = None) -> bytes:
    """The key in the given file (`decisions.keyFile`), else the one in the state folder.

    INVALID for a given file that can't be used; FileNotFoundError without a key in the folder,
    ValueError for one that is too short.
    """
    if given is not None:
        return given_key("decisions.keyFile", given, KEY_BYTES)
    path = folder / KEY_FILE
    key = path.read_bytes()
    if len(key) < KEY_BYTES:
        raise ValueError(f"{path} should hold a key of {KEY_BYTES} bytes, not {len(key)}")
    return key


def gateways_key(folder: Path, given: Path | None = None) -> bytes:
    """The same for a gateway, which makes one where none is given and none is in the folder."""
    if given is None:
        own_key(folder / KEY_FILE, KEY_BYTES)
    return read_key(folder, given)


class DecisionLog:
    """`table` gives the rules in force, `record` takes records, and counts what it drops.

    `per_second` bounds the records of a route in this process, 0 records none; `rng` gives [0, 1),
    `wall` Unix time.
    """

    def __init__(
        self,
        table: Callable[[], RouteTable],
        seal: Seal,
        record: Callable[[Decision], object],
        *,
        per_second: float,
        rng: Callable[[], float],
        wall: Callable[[], float],
        named: Named,
    ) -> None:
        self._table = table
        self._seal = seal
        self._record = record
        self._per_second = per_second
        self._rng = rng
        self._wall = wall
        self._named = named
        self._samplers: dict[str, Sampler] = {}
        self._units: dict[tuple[str, str], bytes] = {}
        self._rules: tuple[object, Wanted] = (None, Wanted(()))

    def observe(self, request: InferRequest, code: int, now: float) -> None:
        """Called once after a request, as the client made it; `now` in its timeline's seconds."""
        context = request.context
        route = context.route
        if route is None or not self._per_second:
            return
        sampler = self._samplers.get(route.name)
        if sampler is None:
            sampler = self._samplers[route.name] = Sampler(self._per_second, self._rng)
        sticky = route.spec.sticky
        key, missing, unit = SUBJECT, "", None
        if sticky is not None and sticky.key != SUBJECT:
            unit = unit_by(sticky.key, context)
            key, missing = (sticky.key, "") if unit else (SUBJECT, sticky.key)
        if unit is None:
            unit = self._subject(context)
        kept = sampler.keep(unit, now)
        if kept is None:
            return
        timeline, principal = context.timeline, context.principal
        arm = _arm(route, request, timeline.arm)
        counted = rows(request.payload)
        decision = Decision(
            at=self._wall(),
            route=route.name,
            arm=timeline.arm,
            revision=route.revision,
            model=self._named(route, request.model),
            version=request.version,
            served_model=arm.model if arm else "",
            served_version=arm.version if arm else "",
            tenant=principal.tenant,
            weight=kept.weight,
            whole=kept.whole,
            user=self._seal.seal(unit),
            key=key,
            missing=missing,
            attributes=self._wanted().of(principal, context.headers),
            rows=counted,
            compute_seconds=_device_seconds(timeline, counted),
            latency=now - timeline.start,
            code=code,
        )
        self._record(decision)

    def _subject(self, context: Context) -> bytes:
        # Most requests are made by somebody who made another a moment ago.
        principal = context.principal
        who = principal.issuer, principal.subject
        unit = self._units.get(who)
        if unit is None:
            if len(self._units) >= SUBJECTS:
                self._units.clear()
            unit = self._units[who] = unit_by(SUBJECT, context) or _NOBODY
        return unit

    def _wanted(self) -> Wanted:
        table = self._table()
        if self._rules[0] is not table:
            self._rules = table, Wanted(table.rules)
        return self._rules[1]


def _arm(route: RouteSnapshot, request: InferRequest, name: str) -> Arm | None:
    if not name:
        return None
    return route.arm(name) or Arm(name, request.model, request.version, 0.0)


def _device_seconds(timeline: Timeline, rows: int) -> float:
    """The backend tells the time of the batch, which the request had a part of."""
    share = min(1.0, rows / timeline.batch_rows) if timeline.batch_rows else 1.0
    return timeline.compute_us / 1e6 * share
