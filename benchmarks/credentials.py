"""One issuer and one token, known to Penstock and to Envoy alike."""

import time

import jwt

ISSUER = "https://benchmark.penstock.invalid"
AUDIENCE = "penstock"
TENANT = "benchmark"
SECRET = "a secret that opens nothing but a benchmark on the loopback"
_LIFETIME = 6 * 3600  # seconds


def token(*scopes: str, tenant: str = TENANT) -> str:
    """Signed now, for longer than any benchmark runs."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "benchmark",
        "tenant": tenant,
        "scope": " ".join(scopes),
        "iat": now,
        "exp": now + _LIFETIME,
    }
    return jwt.encode(claims, SECRET, algorithm="HS256")
