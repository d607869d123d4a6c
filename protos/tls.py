"""TLS of every listener and channel: settings, and the contexts made from them.

Stands with the contracts because both ends of the exchange need it and share nothing else. Files
are read when a context is made; `protos/tls_files.py` makes another when they are exchanged.
"""

import ssl
from pathlib import Path
from typing import Self

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from pydantic import model_validator

from protos.errors import PenstockError, invalid
from protos.settings import Settings


class ServerTls(Settings):
    """A listener's certificate chain and key, PEM; with `clientCa` clients must show one too."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


class ClientTls(Settings):
    """Whom a channel trusts, PEM; `certificate` and `key` are what it shows if it is asked."""

    ca: Path
    certificate: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        return self


def server_context(tls: ServerTls) -> ssl.SSLContext:
    """For an HTTP/1.1 listener: TLS 1.2 or later. Raises INVALID naming the unusable file."""
    _check_pair(tls.certificate, tls.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    # Renegotiation lets a client have us do the expensive half of handshakes at will.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except ssl.SSLError as failure:  # they belong together, which was checked
        why = f"OpenSSL refuses it or its key ({failure.reason})"
        raise _unusable(tls.certificate, "certificate", why) from failure
    except OSError as failure:
        raise _unreadable(tls.certificate, "certificate", failure) from failure
    if tls.client_ca is not None:
        trusted = x509.load_pem_x509_certificates(_certificates(tls.client_ca, "clientCa"))
        # As DER: bundles have comments, in any encoding, and text would have to be ASCII.
        der = b"".join(each.public_bytes(Encoding.DER) for each in trusted)
        context.load_verify_locations(cadata=der)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def certificate_configuration(tls: ServerTls) -> grpc.ServerCertificateConfiguration:
    """For a gRPC listener. Raises INVALID naming the unusable file."""
    chain, key = _check_pair(tls.certificate, tls.key)
    roots = None if tls.client_ca is None else _certificates(tls.client_ca, "clientCa")
    return grpc.ssl_server_certificate_configuration([(key, chain)], roots)


def channel_credentials(tls: ClientTls) -> grpc.ChannelCredentials:
    """For a gRPC channel. Raises INVALID naming the unusable file."""
    roots = _certificates(tls.ca, "ca")
    if tls.certificate is None or tls.key is None:
        return grpc.ssl_channel_credentials(roots)
    chain, key = _check_pair(tls.certificate, tls.key)
    return grpc.ssl_channel_credentials(roots, key, chain)


def _check_pair(certificate: Path, key: Path) -> tuple[bytes, bytes]:
    """Both files' bytes. gRPC takes anything and fails at the first handshake, so it is checked."""
    chain = _certificates(certificate, "certificate")
    secret = _read(key, "key")
    try:
        private = load_pem_private_key(secret, None)
    except Exception as failure:  # cryptography raises several unrelated types for a wrong file
        raise _unusable(key, "key", "it holds no unencrypted private key") from failure
    if private.public_key() != x509.load_pem_x509_certificates(chain)[0].public_key():
        raise _unusable(key, "key", "it does not belong to the certificate")
    return chain, secret


def _certificates(path: Path, field: str) -> bytes:
    content = _read(path, field)
    try:
        x509.load_pem_x509_certificates(content)
    except ValueError as failure:
        raise _unusable(path, field, "it holds no certificate") from failure
    return content


def _read(path: Path, field: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as failure:
        raise _unreadable(path, field, failure) from failure


def _unreadable(path: Path, field: str, failure: OSError) -> PenstockError:
    return _unusable(path, field, failure.strerror or "it cannot be read")


def _unusable(path: Path, field: str, why: str) -> PenstockError:
    return invalid(f"tls.{field}: {path} is not usable: {why}")
