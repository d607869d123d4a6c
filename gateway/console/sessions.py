"""Who may use the console: links that work once, and the sessions that they begin.

A link's code and a session's cookie are 256 random bits each, of which only the SHA-256 is kept:
who reads this process's memory in a crash dump finds nothing that opens anything. Sessions are this
gateway's own, and end with it.
"""

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from typing import Generic, TypeVar

from policies.refusal import Rejected, refusal
from protos.errors import PenstockError
from protos.principal import Principal

LINK_SECONDS = 600.0
SESSION_SECONDS = 8 * 3600.0
MOST_LINKS = 32
MOST_SESSIONS = 64
_BYTES = 32


@dataclass(frozen=True, slots=True)
class Session:
    """One browser of an administrator; `csrf` stands in every form that it is given."""

    principal: Principal
    csrf: str


class Sessions:
    """Times are monotonic seconds. Beyond so many links or sessions the oldest gives way."""

    def __init__(self) -> None:
        self._links: _Kept[Principal] = _Kept(MOST_LINKS, LINK_SECONDS)
        self._sessions: _Kept[Session] = _Kept(MOST_SESSIONS, SESSION_SECONDS)

    def __len__(self) -> int:
        return len(self._sessions)

    def invite(self, principal: Principal, now: float) -> str:
        """The code of a link that begins one session of this administrator within ten minutes."""
        return self._links.add(principal, now)

    def invited(self, code: str, now: float) -> Principal:
        """Whose link it is, which still works afterwards; raises UNAUTHENTICATED for none."""
        principal = self._links.find(code, now)
        if principal is None:
            raise _no_link()
        return principal

    def begin(self, code: str, now: float) -> tuple[str, Session]:
        """Uses a link up: the value of the session's cookie, and the session.

        Raises UNAUTHENTICATED for a link that was used, is older than ten minutes or never was.
        """
        principal = self._links.take(code, now)
        if principal is None:
            raise _no_link()
        session = Session(principal, secrets.token_urlsafe(_BYTES))
        return self._sessions.add(session, now), session

    def find(self, cookie: str, now: float) -> Session | None:
        """The session of a cookie; None when it is over or never was."""
        return self._sessions.find(cookie, now)

    def end(self, cookie: str, now: float) -> None:
        self._sessions.take(cookie, now)


Value = TypeVar("Value")


class _Kept(Generic[Value]):
    """Values behind secrets that are given out once, in the order in which they end."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._values: OrderedDict[bytes, tuple[float, Value]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def add(self, value: Value, now: float) -> str:
        self._forget(now)
        while len(self._values) >= self._most:
            self._values.popitem(last=False)
        secret = secrets.token_urlsafe(_BYTES)
        self._values[_hash(secret)] = (now + self._seconds, value)
        return secret

    def find(self, secret: str, now: float) -> Value | None:
        self._forget(now)
        found = self._values.get(_hash(secret))
        return None if found is None else found[1]

    def take(self, secret: str, now: float) -> Value | None:
        self._forget(now)
        found = self._values.pop(_hash(secret), None)
        return None if found is None else found[1]

    def _forget(self, now: float) -> None:
        while self._values:
            first = next(iter(self._values))
            if now < self._values[first][0]:
                return
            del self._values[first]


def _hash(secret: str) -> bytes:
    # Looked up by a hash, so that how long a comparison takes says nothing about the secret.
    return sha256(secret.encode("utf-8", "surrogateescape")).digest()


def _no_link() -> PenstockError:
    return refusal(Rejected("the console's link was used, is too old or never was"))
