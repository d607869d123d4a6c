import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from grpc import aio
from pydantic import ValidationError

from protos.errors import PenstockError
from protos.tls import (
    ClientTls,
    ServerTls,
    certificate_configuration,
    channel_credentials,
    server_context,
)
from protos.tls_files import followed_configuration, renewed_credentials
from tests.pki import Authority, Pair


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def server_tls(pair: Pair, client_ca: Path | None = None) -> ServerTls:
    files = {"certificate": pair.certificate, "key": pair.key, "clientCa": client_ca}
    return ServerTls.model_validate(files)


async def _echo(request: bytes, context: Any) -> bytes:
    return request


@asynccontextmanager
async def grpc_server(tls: ServerTls) -> AsyncIterator[int]:
    server = aio.server()
    method = grpc.unary_unary_rpc_method_handler(_echo)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("t.T", {"Echo": method})])
    shown = followed_configuration("backend", tls)
    port = server.add_secure_port(
        "127.0.0.1:0", renewed_credentials(shown, mutual=tls.client_ca is not None)
    )
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


async def echo(port: int, tls: ClientTls) -> bytes:
    async with aio.secure_channel(f"localhost:{port}", channel_credentials(tls)) as channel:
        reply: bytes = await channel.unary_unary("/t.T/Echo")(b"abc", timeout=5)
        return reply


async def test_a_channel_trusts_its_authority_alone(authority: Authority, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    async with grpc_server(server_tls(authority.issue("backend"))) as port:
        assert await echo(port, ClientTls(ca=authority.certificate)) == b"abc"
        with pytest.raises(aio.AioRpcError) as caught:
            await echo(port, ClientTls(ca=Authority(other, "other").certificate))
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_mutual_tls_wants_a_certificate_of_the_authority(authority: Authority) -> None:
    client = authority.issue("gateway")
    tls = server_tls(authority.issue("backend"), authority.certificate)
    async with grpc_server(tls) as port:
        known = ClientTls(ca=authority.certificate, certificate=client.certificate, key=client.key)
        assert await echo(port, known) == b"abc"
        with pytest.raises(aio.AioRpcError) as caught:
            await echo(port, ClientTls(ca=authority.certificate))
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_context_wants_tls_1_2_and_offers_http_1_1(authority: Authority) -> None:
    pair = authority.issue("gateway")
    context = server_context(server_tls(pair))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_NONE
    mutual = server_context(server_tls(pair, authority.certificate))
    assert mutual.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("make", [server_context, certificate_configuration])
def test_an_unusable_file_is_named(authority: Authority, tmp_path: Path, make: Any) -> None:
    good, other = authority.issue("gateway"), authority.issue("other")
    missing, rubbish = tmp_path / "missing.pem", tmp_path / "rubbish.pem"
    rubbish.write_bytes(b"rubbish")
    wrong = [
        (Pair(missing, good.key), None, "tls.certificate: .*missing.pem .*No such file"),
        (Pair(rubbish, good.key), None, "tls.certificate: .*rubbish.pem .*no certificate"),
        (Pair(good.certificate, rubbish), None, "tls.key: .*no unencrypted private key"),
        (Pair(good.certificate, other.key), None, "tls.key: .*does not belong to the cert"),
        (good, rubbish, "tls.clientCa: .*no certificate"),
    ]
    for pair, client_ca, sentence in wrong:
        with pytest.raises(PenstockError, match=sentence):
            make(server_tls(pair, client_ca))


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
async def test_a_bundle_of_authorities_may_have_comments_in_any_encoding(
    authority: Authority, tmp_path: Path, encoding: str
) -> None:
    bundle = tmp_path / "bundle.pem"
    comment = "# Főtanúsítvány\n" if encoding == "utf-8" else "# Certificação\n"
    bundle.write_bytes(comment.encode(encoding) + authority.certificate.read_bytes() * 2)
    tls = server_tls(authority.issue("gateway"), bundle)
    assert len(server_context(tls).get_ca_certs()) == 1
    async with grpc_server(server_tls(authority.issue("backend"))) as port:
        assert await echo(port, ClientTls(ca=bundle)) == b"abc"


def test_what_openssl_refuses_is_said_in_its_words(authority: Authority) -> None:
    pair = authority.issue("gateway", key=rsa.generate_private_key(65537, 1024))
    with pytest.raises(PenstockError, match=r"tls\.certificate: .*OpenSSL .*EE_KEY_TOO_SMALL"):
        server_context(server_tls(pair))


def test_a_channel_names_its_unusable_file(authority: Authority, tmp_path: Path) -> None:
    with pytest.raises(PenstockError, match=r"tls\.ca: .*No such file"):
        channel_credentials(ClientTls(ca=tmp_path / "missing.pem"))


def test_half_a_client_certificate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="certificate and key go together"):
        ClientTls(ca=tmp_path / "ca.pem", key=tmp_path / "k.pem")
