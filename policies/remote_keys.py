"""Fetches an issuer's keys over HTTPS: one attempt at a time, bounded in time and size.

`KeyRing` decides when. No redirect is followed, nothing is read from the environment, and what
comes back counts only as a whole.
"""

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import httpx

from policies.discovery_document import document_address, keys_address
from policies.issuers import Issuer
from policies.jwks import KeySet, parse_key_set
from policies.key_ring import KeyRing
from policies.refusal import Rejected
from protos.errors import invalid
from protos.tls_files import Followed

log = logging.getLogger(__name__)

ATTEMPT_TIMEOUT = 5.0  # seconds for the metadata and the keys together
MAX_BYTES = 256 * 1024
METADATA_AGE = 3600.0  # seconds after which the address of the keys is asked for again
_HEADERS = {
    "accept": "application/json",
    "accept-encoding": "identity",  # else a small reply could become a large one
    "user-agent": "penstock",
}


@dataclass(frozen=True, slots=True)
class _Place:
    address: str
    found: float


class RemoteKeys:
    """The keys of an issuer that publishes them. `clock` is monotonic.

    `on_change` is called whenever other keys count than before. Raises INVALID for an unusable
    `fetch.ca`.
    """

    def __init__(
        self,
        issuer: Issuer,
        *,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self.ring = KeyRing(
            refresh=issuer.fetch.refresh,
            keep=issuer.fetch.keep,
            rng=rng or random.Random(),  # noqa: S311 (spreads attempts, nothing secret)
        )
        self.on_change: Callable[[], None] = lambda: None
        self.looked = asyncio.Event()  # after the first attempt
        self._issuer = issuer
        self._clock = clock
        whom = {"ca": issuer.fetch.ca}
        self._trust = Followed(f"keys of issuer {issuer.name}", whom, lambda: _trust(issuer), clock)
        self._place: _Place | None = None
        self._wake = asyncio.Event()
        self._attempt = asyncio.Event()  # set when the present or next attempt is over
        self._runs = False
        self._planned = 0.0  # when `run` makes the next attempt unless it is woken

    @property
    def failures(self) -> int:
        """Failed attempts since the last good one."""
        return self.ring.failures

    def find(self, kid: str | None) -> object:
        return self.ring.find(kid, self._clock())

    def holds(self, key: object) -> bool:
        """Whether the key still counts."""
        return self.ring.keys is not None and self.ring.keys.holds(key)

    def seek(self, kid: str | None) -> asyncio.Event | None:
        """Asks for a key that `find` doesn't know.

        The event is set when there may be news; None: there will be none soon.
        """
        if not self._runs:
            return None
        now = self._clock()
        soon = self.ring.ask(kid, now)
        if self.ring.due(now) < self._planned:
            self._wake.set()
        return self._attempt if soon else None

    async def look(self) -> None:
        """One attempt, whose failure is noted, and logged the first time."""
        self.ring.begin(self._clock())
        try:
            async with asyncio.timeout(ATTEMPT_TIMEOUT):
                keys = await self._fetch()
        except Exception as failure:
            self._failed(failure)
        except asyncio.CancelledError:
            self.ring.fail(self._clock())
            raise
        else:
            if self.ring.failures:
                log.info('keys of issuer "%s" can be fetched again', self._issuer.name)
            if self.ring.succeed(keys, self._clock()):
                self.on_change()
        finally:
            over, self._attempt = self._attempt, asyncio.Event()
            over.set()
            self.looked.set()

    async def run(self) -> None:
        """Makes attempts when they are due, until cancelled."""
        self._runs = True
        try:
            while True:
                self._planned = self.ring.due(self._clock())
                wait = self._planned - self._clock()
                if wait <= 0:
                    await self.look()
                    continue
                self._wake.clear()
                with suppress(TimeoutError):
                    # Not `wait_for`, which before Python 3.12 could lose a cancellation.
                    async with asyncio.timeout(wait):
                        await self._wake.wait()
        finally:
            self._runs = False

    async def _fetch(self) -> KeySet:
        async with httpx.AsyncClient(
            verify=self._trust.current(),
            trust_env=False,
            follow_redirects=False,
            timeout=ATTEMPT_TIMEOUT,
            headers=_HEADERS,
        ) as client:
            address = await self._address(client)
            content = await _get(client, address)
        return parse_key_set(content, self._issuer.algorithm)

    async def _address(self, client: httpx.AsyncClient) -> str:
        issuer = self._issuer
        if issuer.discovery is None:
            return issuer.jwks_url or ""
        known = self._place
        fresh = known is not None and self._clock() - known.found < METADATA_AGE
        if known is None or not fresh or self.ring.failures:
            document = await _get(client, document_address(issuer.issuer, issuer.discovery))
            address = keys_address(document, issuer.issuer, development=issuer.development)
            known = self._place = _Place(address, self._clock())
        return known.address

    def _failed(self, failure: Exception) -> None:
        name = self._issuer.name
        if not self.ring.failures:
            reason = str(failure) if isinstance(failure, Rejected) else type(failure).__name__
            log.warning('keys of issuer "%s" can\'t be fetched: %s', name, reason)
        if self.ring.fail(self._clock()):
            log.error('keys of issuer "%s" are too old to count', name)
            self.on_change()


async def _get(client: httpx.AsyncClient, url: str) -> bytes:
    async with client.stream("GET", url) as reply:
        if reply.status_code != 200:
            raise Rejected(f"{url} answered {reply.status_code}")
        if reply.headers.get("content-encoding", "identity") != "identity":
            raise Rejected(f"{url} answered in another encoding than it was asked for")
        content = bytearray()
        async for piece in reply.aiter_raw():
            content += piece
            if len(content) > MAX_BYTES:
                raise Rejected(f"{url} answered with more than {MAX_BYTES} bytes")
    return bytes(content)


def _trust(issuer: Issuer) -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    if issuer.fetch.ca is not None:
        try:
            context.load_verify_locations(cafile=issuer.fetch.ca)
        except OSError as failure:  # ssl.SSLError is one
            why = failure.strerror or "it holds no certificate"
            raise invalid(
                f'the fetch.ca of issuer "{issuer.name}" is not usable: {why}'
            ) from failure
    return context
