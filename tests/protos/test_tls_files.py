"""Files of TLS that are exchanged while servers and callers use them."""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from grpc import aio

from protos.errors import invalid
from protos.tls import ClientTls, ServerTls
from protos.tls_files import (
    INTERVAL,
    Followed,
    RenewedContext,
    followed_channel,
    followed_configuration,
    followed_context,
    renewed_credentials,
)
from tests.pki import Authority, Pair


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now

    def later(self) -> None:
        self.now += INTERVAL


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Files:
    """A listener's pair and the authorities that it trusts, in files that are exchanged."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.old, self.new = Authority(folder, "old"), Authority(folder, "new")
        paths = {"certificate": "tls.crt", "key": "tls.key", "clientCa": "ca"}
        self.tls = ServerTls.model_validate({key: folder / at for key, at in paths.items()})
        self.put(self.old.issue("first"))
        self.trust(self.old)

    def put(self, pair: Pair) -> None:
        self.put_certificate(pair)
        self.put_key(pair)

    def put_certificate(self, pair: Pair) -> None:
        self.tls.certificate.write_bytes(pair.certificate.read_bytes())

    def put_key(self, pair: Pair) -> None:
        self.tls.key.write_bytes(pair.key.read_bytes())

    def trust(self, *authorities: Authority) -> None:
        pem = b"".join(each.certificate.read_bytes() for each in authorities)
        (self.folder / "ca").write_bytes(pem)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "server")


def test_files_are_looked_at_once_a_second_at_most(files: Files, clock: Clock) -> None:
    followed = followed_context("http", files.tls, clock)
    first = followed.current()
    files.put(files.new.issue("second"))
    assert followed.current() is first
    clock.later()
    second = followed.current()
    assert second is not first
    clock.later()
    assert followed.current() is second


def test_half_a_pair_leaves_the_former_in_use(
    files: Files, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    followed = followed_context("http", files.tls, clock)
    first, pair = followed.current(), files.new.issue("second")
    files.put_certificate(pair)
    clock.later()
    with caplog.at_level(logging.WARNING):
        assert followed.current() is first
        assert "does not belong to the certificate" in followed.failure
        clock.later()
        assert followed.current() is first
    assert len(caplog.records) == 1  # once for what is wrong, not once a second
    files.put_key(pair)
    clock.later()
    assert followed.current() is not first
    assert followed.failure == ""


@pytest.mark.parametrize("wrong", [b"", b"-----BEGIN CERTIFICATE-----\n", None])
def test_files_that_are_gone_or_rubbish_leave_the_former_in_use(
    files: Files, clock: Clock, wrong: bytes | None
) -> None:
    followed = followed_context("http", files.tls, clock)
    first, ends = followed.current(), followed.expiries()
    good = files.tls.certificate.read_bytes()
    if wrong is None:
        files.tls.certificate.unlink()
    else:
        files.tls.certificate.write_bytes(wrong)
    clock.later()
    assert followed.current() is first
    assert followed.failure
    assert followed.expiries() == ends
    files.tls.certificate.write_bytes(good)
    clock.later()
    followed.current()
    assert followed.failure == ""


def test_a_failure_of_the_moment_is_tried_again_at_the_next_look(
    files: Files, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    failures: list[Exception] = []

    def make() -> list[bytes]:
        if failures:
            raise failures.pop()
        return [files.tls.certificate.read_bytes()]

    paths = {"certificate": files.tls.certificate, "key": files.tls.key}
    followed = Followed("http", paths, make, clock)
    first = followed.current()
    files.put(files.new.issue("second"))
    many = invalid("tls.key: Too many open files")
    failures += [TypeError("odd"), many, many]
    with caplog.at_level(logging.WARNING):
        for why in ("Too many open files", "Too many open files", "TypeError: odd"):
            clock.later()
            assert followed.current() is first
            assert why in followed.failure
    assert len(caplog.records) == 2  # one for each reason
    clock.later()
    assert followed.current() is not first
    assert followed.failure == ""


def test_the_files_of_before_are_no_failure(files: Files, clock: Clock) -> None:
    followed = followed_context("http", files.tls, clock)
    first, good = followed.current(), files.tls.certificate.read_bytes()
    files.tls.certificate.write_bytes(b"rubbish")
    clock.later()
    assert followed.current() is first
    assert followed.failure
    files.tls.certificate.write_bytes(good)
    clock.later()
    assert followed.current() is first
    assert followed.failure == ""


@pytest.mark.parametrize("hours", [(-3.0, -1.0), (1.0, 2.0)], ids=["over", "to come"])
def test_a_certificate_outside_its_time_takes_no_valid_ones_place(
    files: Files, clock: Clock, hours: tuple[float, float]
) -> None:
    followed = followed_context("http", files.tls, clock)
    first = followed.current()
    files.put(files.old.issue("second", hours=hours))
    clock.later()
    assert followed.current() is first
    assert "not valid at this time" in followed.failure


def test_a_certificate_outside_its_time_is_better_than_another_such(
    files: Files, clock: Clock
) -> None:
    files.put(files.old.issue("over", hours=(-3.0, -1.0)))
    followed = followed_context("http", files.tls, clock)
    first = followed.current()
    files.put(files.old.issue("over as well", hours=(-3.0, -0.5)))
    clock.later()
    assert followed.current() is not first


def test_the_first_certificate_of_a_chain_to_expire_counts_and_the_last_authority(
    files: Files, clock: Clock
) -> None:
    files.trust(files.old, files.new)
    found = followed_context("http", files.tls, clock).expiries()

    def ends(path: Path) -> float:
        return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc.timestamp()

    assert found["certificate"] == ends(files.tls.certificate)
    authorities = (files.old, files.new)
    assert found["clientCa"] == max(ends(each.certificate) for each in authorities)
    assert set(found) == {"certificate", "clientCa"}


def client(authority: Authority, shown: Pair) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.load_cert_chain(shown.certificate, shown.key)
    return context


@asynccontextmanager
async def echoing(followed: Followed[ssl.SSLContext]) -> AsyncIterator[int]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
        writer.close()

    context = RenewedContext(followed)
    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def talk(port: int, trust: ssl.SSLContext) -> tuple[bytes, Callable[[], Any]]:
    reader, writer = await asyncio.open_connection("localhost", port, ssl=trust)

    async def again() -> bytes:
        writer.write(b"hello\n")
        return await reader.readline()

    return await again(), again


async def test_new_connections_see_the_new_files_and_old_ones_go_on(
    files: Files, clock: Clock
) -> None:
    ours, others = files.old.issue("ours"), files.new.issue("others")
    followed = followed_context("http", files.tls, clock)
    async with echoing(followed) as port:
        before = client(files.old, ours)
        said, again = await talk(port, before)
        assert said == b"hello\n"
        files.put(files.new.issue("second"))
        files.trust(files.new)
        clock.later()
        assert (await talk(port, client(files.new, others)))[0] == b"hello\n"
        assert await again() == b"hello\n"
        with pytest.raises(ssl.SSLCertVerificationError):
            await talk(port, before)


Session = tuple[bytes, ssl.SSLSession | None, bool]


def resume(port: int, context: ssl.SSLContext, session: ssl.SSLSession | None) -> Session:
    """What is answered, the session that came with it, and whether `session` was taken."""
    with socket.create_connection(("localhost", port), timeout=10) as plain:
        over = context.wrap_socket(plain, server_hostname="localhost", session=session)
        with over:
            over.sendall(b"hello\n")
            return over.recv(99), over.session, bool(over.session_reused)


async def test_a_session_of_before_opens_nothing_to_those_whose_authority_is_gone(
    files: Files, clock: Clock
) -> None:
    trust = client(files.old, files.old.issue("ours"))
    followed = followed_context("http", files.tls, clock)
    async with echoing(followed) as port:
        said, session, _ = await asyncio.to_thread(resume, port, trust, None)
        assert said == b"hello\n"
        *_, resumed = await asyncio.to_thread(resume, port, trust, session)
        assert resumed  # as long as nothing has changed
        files.trust(files.new)
        clock.later()
        try:
            said, *_ = await asyncio.to_thread(resume, port, trust, session)
        except OSError:  # an alert of TLS, or a reset
            said = b""
        assert said == b""


async def _echo(request: bytes, context: Any) -> bytes:
    return request


async def echo(port: int, followed: Followed[grpc.ChannelCredentials]) -> bytes:
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with aio.secure_channel(f"localhost:{port}", followed.current(), options) as channel:
        reply: bytes = await channel.unary_unary("/t.T/Echo")(b"abc", timeout=10)
        return reply


async def test_grpc_asks_for_the_files_at_each_handshake(files: Files, clock: Clock) -> None:
    side = Files(files.folder.parent / "client")
    side.old, side.new = files.old, files.new
    side.put(files.old.issue("ours"))
    side.trust(files.old)
    tls = ClientTls.model_validate(
        {"ca": side.folder / "ca", "certificate": side.tls.certificate, "key": side.tls.key}
    )
    shown = followed_configuration("grpc", files.tls, clock)
    trusted = followed_channel("exchange", tls, clock)
    server = aio.server()
    method = grpc.unary_unary_rpc_method_handler(_echo)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("t.T", {"Echo": method})])
    port = server.add_secure_port("127.0.0.1:0", renewed_credentials(shown, mutual=True))
    await server.start()
    try:
        async with aio.secure_channel(f"localhost:{port}", trusted.current()) as old:
            assert await old.unary_unary("/t.T/Echo")(b"old", timeout=10) == b"old"
            files.put(files.new.issue("second"))
            files.trust(files.new)
            clock.later()
            with pytest.raises(aio.AioRpcError):
                await echo(port, trusted)
            side.put(files.new.issue("others"))
            side.trust(files.new)
            clock.later()
            assert await echo(port, trusted) == b"abc"
            assert await old.unary_unary("/t.T/Echo")(b"old", timeout=10) == b"old"
    finally:
        await server.stop(0)
