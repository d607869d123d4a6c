"""Issuers of tokens with a web server for their keys, over real TLS, that does as it is told."""

import asyncio
import datetime
import ipaddress
import json
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from chaos.load import Caller

LIFETIME = 4 * 3600.0  # seconds of a token
HANGS = b""  # in place of a reply: nothing, and the connection stays
_SETTINGS = """  - name: {name}
    issuer: https://{name}.test
    algorithm: ES256
    jwksUrl: {url}
    fetch: {{ca: {ca}, refresh: {refresh}}}
"""


class Issuer:
    """One who signs with keys of its own and publishes some; `says` answers instead if it is set.

    Gateways ask for keys every `refresh`, and for unknown ones. `asked` are the times of attempts,
    monotonic.
    """

    def __init__(self, name: str, refresh: str = "30s") -> None:
        self.name = name
        self.refresh = refresh
        self.says: bytes | None = None
        self.asked: list[float] = []
        self._keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self._published: list[str] = []

    def publish(self, *kids: str) -> None:
        """These keys and no others; unknown ones are made."""
        for kid in kids:
            self._keys.setdefault(kid, ec.generate_private_key(ec.SECP256R1()))
        self._published = list(kids)

    def token(self, kid: str, tenant: str = "tests") -> str:
        """Signed with the key of that id, or by a stranger if there is none."""
        key = self._keys.get(kid) or ec.generate_private_key(ec.SECP256R1())
        now = int(time.time())
        claims = {
            "iss": f"https://{self.name}.test",
            "aud": "penstock",
            "sub": "somebody",
            "tenant": tenant,
            "scope": "infer:*",
            "iat": now,
            "exp": now + int(LIFETIME),
        }
        return jwt.encode(claims, key, "ES256", headers={"kid": kid})

    def caller(self, kid: str, rate: float) -> Caller:
        """Somebody with a new token of that key."""
        return Caller(self.token(kid), rate, self.name)

    def reply(self) -> bytes:
        """What the web server answers now."""
        if self.says is not None:
            return self.says
        keys = [_public(self._keys[kid], kid) for kid in self._published]
        return reply("200 OK", json.dumps({"keys": keys}).encode())


def reply(status: str, body: bytes = b"", *headers: str) -> bytes:
    """An HTTP reply as it goes over the wire."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@asynccontextmanager
async def publishing(folder: Path, *issuers: Issuer) -> AsyncIterator[str]:
    """Serves their keys; the block `issuers` that a gateway needs to know them."""
    certificate, key = _certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    by_path = {f"/{each.name}": each for each in issuers}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            issuer = by_path[head.split(b" ")[1].decode()]
            issuer.asked.append(time.monotonic())
            said = issuer.reply()
            writer.write(said)
            if said == HANGS:
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield "".join(
            _SETTINGS.format(
                name=each.name,
                url=f"https://localhost:{port}{path}",
                ca=certificate,
                refresh=each.refresh,
            )
            for path, each in by_path.items()
        )


def _public(key: ec.EllipticCurvePrivateKey, kid: str) -> dict[str, object]:
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**jwk, "kid": kid, "use": "sig", "alg": "ES256"}


def _certificate(folder: Path) -> tuple[Path, Path]:
    """PEM files of a certificate for localhost that signed itself, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "issuers.pem", folder / "issuers.key"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files
