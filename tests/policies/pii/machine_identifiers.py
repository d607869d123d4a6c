"""Addresses, keys and tokens of machines, as `identifiers.py` makes those of people."""

import base64
import hashlib
import json
import random
import string

from policies.pii.recognisers.crypto import is_bech32
from tests.policies.pii.forms import FIRST, LETTERS, grouped, pattern

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def bitcoin(rng: random.Random) -> str:
    raw = bytes((rng.choice((0, 5)),)) + rng.randbytes(20)
    number = int.from_bytes(raw + hashlib.sha256(hashlib.sha256(raw).digest()).digest()[:4], "big")
    text = ""
    while number:
        number, rest = divmod(number, 58)
        text = BASE58[rest] + text
    return "1" * (raw[0] == 0) + text


def segwit(rng: random.Random) -> str:
    signs = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    body = "bc1q" + "".join(rng.choice(signs) for _ in range(32))
    values = [3, 3, 0, 2, 3] + [signs.index(letter) for letter in body[3:]] + [0] * 6
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, factor in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= factor if top >> bit & 1 else 0
    check ^= 1
    made = body + "".join(signs[check >> 5 * (5 - place) & 31] for place in range(6))
    return made if is_bech32(made) else segwit(rng)


def crypto(rng: random.Random) -> str:
    return rng.choice((bitcoin, segwit, lambda rng: "0x" + rng.randbytes(20).hex()))(rng)


def ip(rng: random.Random) -> str:
    four = ".".join(str(rng.randrange(1, 255)) for _ in range(4))
    six = ":".join(f"{rng.randrange(4096, 65536):x}" for _ in range(8))
    one = f"{rng.choice(('203', '192', '89', '172', '10'))}.{four.split('.', 1)[1]}"
    return rng.choice((one, six, f"2001:db8:{six[:4]}::{six[5:9]}", f"fe80::{six[:19]}"))


def mac(rng: random.Random) -> str:
    raw = rng.randbytes(6)
    return rng.choice((raw.hex(":"), raw.hex("-").upper(), raw.hex(".", 2), raw.hex(":").upper()))


def token(rng: random.Random, size: int, signs: str = string.ascii_letters + string.digits) -> str:
    return "".join(rng.choice(signs) for _ in range(size - 2)) + "a7"


def api_key(rng: random.Random) -> str:
    return rng.choice(
        (
            f"sk-{token(rng, 48)}",
            f"sk-proj-{token(rng, 60)}",
            f"ghp_{token(rng, 36)}",
            f"AKIA{token(rng, 16, LETTERS + string.digits).upper()}",
            f"xoxb-{pattern(rng, '###########')}-{token(rng, 24)}",
            f"glpat-{token(rng, 20)}",
            f"sk_live_{token(rng, 24)}",
            f"AIza{token(rng, 35)}",
            f"hf_{token(rng, 34)}",
        )
    )


def jwt(rng: random.Random) -> str:
    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    head = part(json.dumps({"alg": "RS256", "typ": "JWT"}).encode())
    body = part(json.dumps({"sub": rng.choice(FIRST), "iat": rng.randrange(10**9)}).encode())
    return f"{head}.{body}.{part(rng.randbytes(64))}"


def private_key(rng: random.Random) -> str:
    body = grouped(base64.b64encode(rng.randbytes(160)).decode(), 64, "\n")
    kind = rng.choice(("RSA ", "EC ", "", "OPENSSH "))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----"


def url(rng: random.Random) -> str:
    scheme = rng.choice(("postgres", "https", "redis", "mongodb+srv", "amqp"))
    return f"{scheme}://{rng.choice(FIRST)}:{token(rng, 9)}@db.example.com:5432/shop"
