"""Whose an instance is, and how much of all that is told one principal's backends may take."""

from collections import Counter
from dataclasses import dataclass
from hmac import compare_digest

from protos.principal import Principal

MAX_INSTANCES = 10_000
MAX_BYTES = 64 * 1024 * 1024  # of all beats that are kept, most of which every worker is told
# Of one principal: who has a join token alone must leave room for everybody else.
SHARE_INSTANCES = 1000
SHARE_BYTES = MAX_BYTES // 4

Name = tuple[str, str, str]


def name_of(sender: Principal) -> Name:
    """Whose something is: subjects are an issuer's, and those of API keys a tenant's."""
    return sender.tenant, sender.issuer, sender.subject


@dataclass(frozen=True, slots=True)
class Claim:
    """A beat: who sends it for which instance, and how much is kept of it."""

    instance: str
    sender: Principal
    access_key: str
    epoch: int
    stream: int  # grows with every stream that begins
    table: int  # bytes; 0 where the beat leaves it out
    rest: int  # bytes of all else

    @property
    def name(self) -> Name:
        return name_of(self.sender)


@dataclass(frozen=True, slots=True)
class _Holder:
    claim: Claim
    table: int  # of the last beat that had one
    newest: tuple[int, int]  # the epoch and the stream that speak for the instance

    @property
    def size(self) -> int:
        return self.table + self.claim.rest

    def yields_to(self, claim: Claim, overdue: bool) -> bool:
        """To its own principal, and to who has the key that the instance made at its start.

        Once its lease is overdue also to who has the same rights: a token that was exchanged for
        another one while the process died.
        """
        mine = self.claim
        if mine.name == claim.name:
            return True
        if mine.access_key and compare_digest(mine.access_key.encode(), claim.access_key.encode()):
            return True
        ours, theirs = mine.sender, claim.sender
        return overdue and (ours.tenant, ours.scopes) == (theirs.tenant, theirs.scopes)


class Holders:
    """One for each instance that is in the registry: it is somebody's until it is evicted."""

    def __init__(self) -> None:
        self._holders: dict[str, _Holder] = {}
        self._size = 0
        self._instances: Counter[Name] = Counter()
        self._sizes: Counter[Name] = Counter()

    def fault(self, claim: Claim, overdue: bool) -> str | None:
        """Why the beat may not be taken; `overdue` is whether the instance's lease is."""
        known = self._holders.get(claim.instance)
        if known is not None and not known.yields_to(claim, overdue):
            return f"instance {claim.instance} is held by somebody else"
        own = known if known is not None and known.claim.name == claim.name else None
        if known is None and len(self._holders) >= MAX_INSTANCES:
            return f"this mesh holds {MAX_INSTANCES} instances already"
        if own is None and self._instances[claim.name] >= SHARE_INSTANCES:
            return f"this token's principal holds {SHARE_INSTANCES} instances already"
        after = self._after(claim, known)
        grown = after.size - (own.size if own else 0)
        if grown > 0 and self._sizes[claim.name] + grown > SHARE_BYTES:
            return f"models: the beats of this token's principal take more than {SHARE_BYTES} bytes"
        # Who has joined is not put out because others have filled what there was.
        if claim.table and self._size - (known.size if known else 0) + after.size > MAX_BYTES:
            return f"models: the beats of all backends take more than {MAX_BYTES} bytes"
        return None

    def took(self, claim: Claim) -> None:
        """The beat was taken."""
        after = self._after(claim, self._holders.get(claim.instance))
        self.forget(claim.instance)
        self._holders[claim.instance] = after
        self._size += after.size
        self._sizes[claim.name] += after.size
        self._instances[claim.name] += 1

    def holds(self, instance: str) -> bool:
        """Whether it is anybody's."""
        return instance in self._holders

    def speaks(self, instance: str, epoch: int, stream: int) -> bool:
        """Whether no newer stream has spoken for the instance since."""
        known = self._holders.get(instance)
        return known is not None and known.newest == (epoch, stream)

    def forget(self, instance: str) -> None:
        known = self._holders.pop(instance, None)
        if known is None:
            return
        name = known.claim.name
        self._size -= known.size
        self._sizes[name] -= known.size
        self._instances[name] -= 1
        if not self._instances[name]:
            del self._instances[name], self._sizes[name]

    def _after(self, claim: Claim, known: _Holder | None) -> _Holder:
        said = (claim.epoch, claim.stream)
        if known is None:
            return _Holder(claim, claim.table, said)
        return _Holder(claim, claim.table or known.table, max(known.newest, said))

    def __repr__(self) -> str:
        return f"<Holders of {len(self._holders)} instances, {self._size} bytes>"
