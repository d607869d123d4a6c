"""Files of TLS that may be exchanged while they are in use, as cert-manager or certbot do it.

Whoever shakes hands gets what the files hold by then; connections that there are go on. Certificate
and key are exchanged one after the other, so a pair that doesn't fit together is expected for a
moment: what was good last stays in use until the files are good again. A certificate that is over,
or whose time is still to come, is not good for taking the place of one that is valid.
"""

import logging
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import grpc
from cryptography import x509

from protos.errors import PenstockError, invalid
from protos.tls import (
    ClientTls,
    ServerTls,
    certificate_configuration,
    channel_credentials,
    server_context,
)

log = logging.getLogger(__name__)

INTERVAL = 1.0  # seconds between two looks at the files

Made = TypeVar("Made")
Clock = Callable[[], float]


class Followed(Generic[Made]):
    """What is made from some files, made anew when they hold something else.

    `use` says in logs and metrics what for. Raises INVALID, only when it is made, for files that
    can't be used. Handshakes of gRPC ask from threads of its own, hence the lock.
    """

    def __init__(
        self,
        use: str,
        files: Mapping[str, Path | None],
        make: Callable[[], Made],
        clock: Clock = time.monotonic,
        wall: Clock = time.time,
    ) -> None:
        self.use = use
        self.failure = ""  # why what the files hold now can't be used
        self._files = {field: path for field, path in files.items() if path is not None}
        self._make = make
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._due = clock() + INTERVAL
        # First what they hold, then what is made of it: what changes in between is seen later.
        self._seen = self._contents()
        self._made = make()
        self._expiries = _expiries(self._seen)

    def current(self) -> Made:
        """What was made of the newest files that are good; looks at them at most once a second."""
        if self._clock() >= self._due and self._lock.acquire(blocking=False):
            try:
                self._due = self._clock() + INTERVAL
                self._look()
            finally:
                self._lock.release()
        return self._made

    def expiries(self) -> Mapping[str, float]:
        """By field, when what is in use expires, in seconds since 1970.

        Of a chain that is its first certificate to expire, of authorities the last: with it goes
        the trust in everybody.
        """
        self.current()
        return self._expiries

    def _look(self) -> None:
        seen = self._contents()
        if seen == self._seen:
            self.failure = ""
            return
        # What fails is tried again at the next look, whether the files are the same by then or not:
        # it may have been for want of descriptors, or in the middle of an exchange.
        try:
            made = self._make()
            self._check_time(seen)
        except PenstockError as error:
            self._stay(error.message)
        except Exception as error:  # whoever shakes hands must get something
            self._stay(f"{type(error).__name__}: {error}")
        else:
            self._seen, self._made, self._expiries, self.failure = seen, made, _expiries(seen), ""
            log.info("%s: new connections use the files of TLS as they are now", self.use)

    def _check_time(self, seen: Mapping[str, bytes | None]) -> None:
        now = self._wall()
        if not _valid(seen, now) and _valid(self._seen, now):
            path = self._files["certificate"]
            raise invalid(f"tls.certificate: {path} is not usable: it is not valid at this time")

    def _stay(self, why: str) -> None:
        if why != self.failure:
            log.warning("%s: what was good last stays in use: %s", self.use, why)
        self.failure = why

    def _contents(self) -> dict[str, bytes | None]:
        # Not their times: an exchange within one tick of the clock would be missed for good.
        return {field: _read(path) for field, path in self._files.items()}


class RenewedContext(ssl.SSLContext):
    """Stands for the current one of several contexts, for servers that take one for good.

    Each handshake is made with a context of the files as they are then. Changing this one instead
    would not do: authorities can only be added to a context, and its session tickets would let
    those in again whose authority is gone.
    """

    followed: Followed[ssl.SSLContext]

    def __new__(cls, followed: Followed[ssl.SSLContext]) -> "RenewedContext":
        made = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        made.followed = followed
        return made

    def wrap_bio(self, *arguments: Any, **named: Any) -> ssl.SSLObject:
        return self.followed.current().wrap_bio(*arguments, **named)


def followed_context(
    use: str, tls: ServerTls, clock: Clock = time.monotonic
) -> Followed[ssl.SSLContext]:
    """Of a listener of HTTP, to be given to `RenewedContext`. Raises INVALID."""
    return Followed(use, _listeners(tls), lambda: server_context(tls), clock)


def followed_configuration(
    use: str, tls: ServerTls, clock: Clock = time.monotonic
) -> Followed[grpc.ServerCertificateConfiguration]:
    """Of a listener of gRPC, to be given to `renewed_credentials`. Raises INVALID."""
    return Followed(use, _listeners(tls), lambda: certificate_configuration(tls), clock)


def followed_channel(
    use: str, tls: ClientTls, clock: Clock = time.monotonic
) -> Followed[grpc.ChannelCredentials]:
    """Of those who call: each channel is to be made with the current ones. Raises INVALID."""
    files = {"ca": tls.ca, "certificate": tls.certificate, "key": tls.key}
    return Followed(use, files, lambda: channel_credentials(tls), clock)


def renewed_credentials(
    followed: Followed[grpc.ServerCertificateConfiguration], *, mutual: bool
) -> grpc.ServerCredentials:
    """Credentials of a gRPC server that asks before each handshake what the files hold."""
    used = followed.current()

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal used
        newest = followed.current()
        if newest is used:
            return None  # gRPC keeps what it has
        used = newest
        return newest

    # Its annotation lacks the None that its description tells of.
    return grpc.dynamic_ssl_server_credentials(used, fetch, mutual)  # type: ignore[arg-type]


def _listeners(tls: ServerTls) -> dict[str, Path | None]:
    return {"certificate": tls.certificate, "key": tls.key, "clientCa": tls.client_ca}


def _expiries(contents: Mapping[str, bytes | None]) -> dict[str, float]:
    found = {}
    for field, content in contents.items():
        if field == "key" or content is None:
            continue
        try:
            certificates = x509.load_pem_x509_certificates(content)
        except ValueError:
            continue
        ends = [each.not_valid_after_utc.timestamp() for each in certificates]
        found[field] = min(ends) if field == "certificate" else max(ends)
    return found


def _valid(contents: Mapping[str, bytes | None], now: float) -> bool:
    """Whether who is shown the certificate would find it in its time; true where none is shown."""
    content = contents.get("certificate")
    if content is None:
        return True
    leaf = x509.load_pem_x509_certificates(content)[0]
    return leaf.not_valid_before_utc.timestamp() <= now < leaf.not_valid_after_utc.timestamp()


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
