"""Who asks: turns what a request shows into a Principal.

A request shows one credential: a bearer token, an API key, or else the certificate that its
connection was made with. Whatever is wrong with it, the client reads the same sentence.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence, Set
from contextlib import suppress
from typing import Protocol

from policies.api_keys import PREFIX, KeyBook
from policies.bearer_tokens import BearerTokens, KeyMissing
from policies.issuers import Issuer
from policies.jwks import KeySet
from policies.key_files import load_keys
from policies.last_good import LastGood
from policies.mtls import Certificates
from policies.refusal import Rejected, refusal
from policies.remote_keys import RemoteKeys
from policies.revocation import TokenId
from protos.errors import PenstockError
from protos.principal import Principal

FILE_INTERVAL = 5.0  # seconds between two looks at a file of keys
FILE_KEEP = 86400.0  # seconds that its keys count while it can't be read
MAX_WAITING = 256  # requests that wait for keys; beyond that strangers could hold every connection
FIRST_LOOK = 2.0  # seconds that a start waits for keys

# Nobody's credential. A front proxy and we might not agree on which of two counts, so none does,
# and no certificate speaks instead of them.
SEVERAL = b"several"

_NOBODY: frozenset[TokenId] = frozenset()


class Source(Protocol):
    """What is known from elsewhere and looked at again and again; `looked` after the first time."""

    on_change: Callable[[], None]
    looked: asyncio.Event

    @property
    def failures(self) -> int: ...

    def run(self) -> Coroutine[None, None, None]: ...


class Authenticate(Protocol):
    """What the faces of a gateway ask; `Authenticator` is it."""

    @property
    def knows_certificates(self) -> bool: ...

    def __call__(self, authorization: str | bytes, names: Sequence[str] = ()) -> Principal: ...

    async def admit(self, authorization: str | bytes, names: Sequence[str] = ()) -> Principal: ...


class FileKeys:
    """An issuer's keys in a file of this machine, read again when it changes.

    Raises INVALID for a file that is no good from the start.
    """

    def __init__(self, issuer: Issuer) -> None:
        self.source: LastGood[KeySet] = LastGood(
            lambda: load_keys(issuer),
            f'the key of issuer "{issuer.name}"',
            interval=FILE_INTERVAL,
            keep=FILE_KEEP,
        )
        self.source.load()

    def find(self, kid: str | None) -> object:
        keys = self.source.value
        return None if keys is None else keys.find(kid)

    def holds(self, key: object) -> bool:
        keys = self.source.value
        return keys is not None and keys.holds(key)

    def seek(self, kid: str | None) -> None:
        return None


class Authenticator:
    """Knows the issuers' tokens, and API keys, certificates and withdrawals if it is given any.

    `clock` is wall time in seconds, in which tokens are dated. Between `start` and `close` keys and
    lists are kept up to date; without, files are read once and nothing is fetched. Raises INVALID
    when two issuers claim the same name or a key is unusable.
    """

    def __init__(
        self,
        issuers: Iterable[Issuer],
        clock: Callable[[], float],
        *,
        api_keys: LastGood[KeyBook] | None = None,
        certificates: Certificates | None = None,
        revoked: LastGood[Set[TokenId]] | None = None,
        remembered: int = 10_000,
    ) -> None:
        self._clock = clock
        self._api_keys = api_keys
        self._certificates = certificates
        self._waiting = 0
        self._tasks: list[asyncio.Task[None]] = []
        keys = [
            (each, RemoteKeys(each) if each.fetches_keys else FileKeys(each)) for each in issuers
        ]
        self._tokens = BearerTokens(
            keys,
            (lambda: _NOBODY) if revoked is None else (lambda: revoked.value),
            remembered=remembered,
        )
        self._sources: list[Source] = [
            found.source if isinstance(found, FileKeys) else found for _, found in keys
        ]
        self._sources += [each for each in (api_keys, revoked) if each is not None]
        for source in self._sources:
            source.on_change = self._tokens.review

    @property
    def knows_certificates(self) -> bool:
        """Whether a connection's certificate may stand for a credential."""
        return self._certificates is not None

    def __call__(self, authorization: str | bytes, names: Sequence[str] = ()) -> Principal:
        """Who shows this value of an Authorization header, or, with an empty one, a certificate
        with these alternative names (`DNS:…`, `URI:…`).

        Raises UNAUTHENTICATED for anything but one valid credential. One whose key isn't known yet
        is refused as well, and the key is asked for; `admit` waits for it.
        """
        if not authorization and names and self._certificates is not None:
            try:
                return self._certificates.principal(names)
            except Rejected as failure:
                raise refusal(failure) from failure
        credential = bearer(authorization)
        if credential.startswith(PREFIX):
            return self._api_key(credential)
        return self._tokens.verify(credential, self._clock())

    async def admit(self, authorization: str | bytes, names: Sequence[str] = ()) -> Principal:
        """The same, but a token whose key is just being fetched waits for it."""
        try:
            return self(authorization, names)
        except PenstockError as refused:
            missing = refused.__cause__
            if not isinstance(missing, KeyMissing) or missing.news is None:
                raise
            if self._waiting >= MAX_WAITING:
                raise
            news = missing.news
        self._waiting += 1
        try:
            await news.wait()
        finally:
            self._waiting -= 1
        return self(authorization, names)

    @property
    def failing(self) -> int:
        """Of how many keys and lists the last look failed; for an alarm."""
        return sum(source.failures > 0 for source in self._sources)

    def verify(self, token: bytes, now: float) -> Principal:
        """The principal of a JSON Web Token at wall time `now`; raises UNAUTHENTICATED."""
        return self._tokens.verify(token, now)

    async def start(self) -> None:
        """Reads and fetches everything once, and goes on doing so.

        Returns after two seconds also when some of it doesn't answer: what it would vouch for is
        refused until it does.
        """
        self._tasks = [asyncio.create_task(each.run(), name="identity") for each in self._sources]
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LOOK):
                for source in self._sources:
                    await source.looked.wait()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _api_key(self, key: bytes) -> Principal:
        book = None if self._api_keys is None else self._api_keys.value
        try:
            if book is None:
                raise Rejected("API keys are not accepted, or not known")
            return book.principal(key, self._clock())
        except Rejected as failure:
            raise refusal(failure) from failure


def authorization(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The one credential among an ASGI scope's headers, as the value of an Authorization header.

    `x-api-key: pk_…` says the same as `Authorization: Bearer pk_…`. Empty for none, in which case a
    certificate may speak; for two it is `SEVERAL`.
    """
    found: bytes | None = None
    for name, value in headers:
        if name == b"authorization" or name == b"x-api-key":
            if found is not None:
                return SEVERAL
            found = value if name == b"authorization" else from_api_key(value)
    return found or b""


def from_api_key(value: bytes) -> bytes:
    """What an `x-api-key` header says, as the value of an Authorization header."""
    # Nothing but API keys: what else is put there was meant for another server.
    return (b"Bearer " if value.startswith(PREFIX) else b"x-api-key ") + value


def bearer(authorization: str | bytes) -> bytes:
    """The token in the value of an Authorization header; raises UNAUTHENTICATED."""
    try:
        value = authorization.encode("ascii") if isinstance(authorization, str) else authorization
    except UnicodeEncodeError as failure:
        raise refusal(failure) from failure
    scheme, _, token = value.partition(b" ")
    token = token.strip(b" ")
    if scheme.lower() != b"bearer" or not token:
        several = value == SEVERAL
        why = "there are several credentials" if several else "there is no bearer token"
        raise refusal(Rejected(why))
    return token
