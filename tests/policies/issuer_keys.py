"""Issuers with keys of every family, made for one test at a time."""

import base64
import hmac
import json
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from policies.issuers import Issuer

SECRET = b"0123456789abcdef0123456789abcdef"
NOW = 1_800_000_000.0


def private_key(algorithm: str) -> Any:
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm.startswith("ES"):
        curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
        return ec.generate_private_key(curves[algorithm])
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_pem(key: Any) -> bytes:
    pem: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


def private_pem(key: Any) -> bytes:
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem


def jwk(key: Any, algorithm: str, kid: str | None = None, **changes: object) -> dict[str, Any]:
    """The public half as a JSON Web Key; a change to None takes the member out."""
    scheme = jwt.get_algorithm_by_name(algorithm)
    members = scheme.to_jwk(key.public_key(), as_dict=True)
    members.pop("key_ops", None)
    members |= {"use": "sig", "alg": algorithm, "kid": kid, **changes}
    return {name: value for name, value in members.items() if value is not None}


def secret_issuer(folder: Path, **changes: object) -> Issuer:
    path = folder / "secret"
    if not path.exists():
        path.write_bytes(SECRET)
        path.chmod(0o600)
    settings = {
        "name": "company",
        "issuer": "https://login.example",
        "algorithm": "HS256",
        "secretFile": path,
    }
    return Issuer.model_validate(settings | changes)


def public_issuer(folder: Path, algorithm: str, pem: bytes, **changes: object) -> Issuer:
    path = folder / f"{algorithm}.pem"
    path.write_bytes(pem)
    settings = {
        "name": "company",
        "issuer": "https://login.example",
        "algorithm": algorithm,
        "publicKeyFile": path,
    }
    return Issuer.model_validate(settings | changes)


def claims(**changes: object) -> dict[str, Any]:
    """Claims that are valid at NOW; a change to None takes the claim out."""
    valid: dict[str, Any] = {
        "iss": "https://login.example",
        "aud": "penstock",
        "sub": "ann",
        "tenant": "acme",
        "scope": "infer:* admin",
        "iat": NOW - 10,
        "exp": NOW + 600,
    }
    return {name: value for name, value in (valid | changes).items() if value is not None}


def segment(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token_of(body: object, header: object = None, secret: bytes = SECRET) -> bytes:
    """A token with a right HMAC over whatever is put into it, which PyJWT would not make."""
    head = {"alg": "HS256", "typ": "JWT"} if header is None else header
    signing_input = f"{segment(head)}.{segment(body)}"
    mac = hmac.digest(secret, signing_input.encode(), "sha256")
    return f"{signing_input}.{segment(mac)}".encode()
