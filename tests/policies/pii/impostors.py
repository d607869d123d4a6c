"""Values that look like people's data and are not: what machines number, measure and hash."""

import hashlib
import json
import random
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

Maker = Callable[[random.Random], str]

SENTENCES = (
    "{}",
    "see {} for details",
    "The value was {}, as logged.",
    "status=ok {} done",
    "[{}]",
    '{{"v": "{}"}}',
    "a,{},b",
    "we shipped {} on Monday",
)
NUMBERED = ("order {}", "Order #{}", "invoice no. {}", "order number: {}", "ticket {}", "SKU {}")


def _number(rng: random.Random, digits: int) -> str:
    return str(rng.randrange(10 ** (digits - 1), 10**digits))


def _isbn13(rng: random.Random) -> str:
    body = f"978{rng.randrange(10**9):09d}"
    check = -sum(int(digit) * (1, 3)[place % 2] for place, digit in enumerate(body)) % 10
    text = f"{body}{check}"
    return rng.choice((text, f"{text[:3]}-{text[3]}-{text[4:8]}-{text[8:12]}-{text[12]}"))


def _isbn10(rng: random.Random) -> str:
    body = f"{rng.randrange(10**9):09d}"
    check = -sum(int(digit) * (10 - place) for place, digit in enumerate(body)) % 11
    return f"{body[0]}-{body[1:5]}-{body[5:]}-{'X' if check == 10 else check}"


def _moment(rng: random.Random) -> datetime:
    return datetime(2020, 1, 1, tzinfo=UTC) + timedelta(microseconds=rng.randrange(2 * 10**14))


def _timestamp(rng: random.Random) -> str:
    moment = _moment(rng)
    seconds = moment.timestamp()
    return rng.choice(
        (
            moment.isoformat(),
            moment.strftime("%Y-%m-%d %H:%M:%S"),
            moment.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            moment.strftime("%Y%m%d%H%M%S"),
            moment.strftime("%d.%m.%Y %H:%M"),
            str(int(seconds)),
            str(int(seconds * 1e3)),
            str(int(seconds * 1e6)),
            f"{seconds:.6f}",
        )
    )


def _version(rng: random.Random) -> str:
    one, two, three = rng.randrange(20), rng.randrange(60), rng.randrange(100)
    return rng.choice(
        (
            f"v{one}.{two}.{three}",
            f"{one}.{two}.{three}-rc.{rng.randrange(9)}+build.{_number(rng, 5)}",
            f"version {one}.{two}.{three}.{rng.randrange(255)}",
            f"python-3.{two}.{three}",
            f"{one}.{two}.{three}",
        )
    )


def _price(rng: random.Random) -> str:
    value = rng.random() * 10 ** rng.randrange(1, 8)
    return rng.choice(
        (
            f"${value:,.2f}",
            f"€{value:.2f}",
            f"{value:,.2f} USD",
            f"{int(value):,}".replace(",", " "),
        )
    )


def _model(rng: random.Random) -> str:
    size = rng.choice((7, 8, 13, 70, 405))
    return rng.choice(
        (
            f"Llama-3.1-{size}B-Instruct",
            f"gpt-4o-2024-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}",
            f"claude-3-5-sonnet-2024{rng.randrange(1, 13):02d}22",
            f"Qwen2.5-{size}B-Instruct-AWQ",
            f"org/model-{size}b@sha256:{_digest(rng)}",
            f"mistral-{size}b-v0.{rng.randrange(9)}.Q4_K_M.gguf",
            f"resnet{size}_v1.{rng.randrange(9)}.onnx",
        )
    )


def _digest(rng: random.Random) -> str:
    name = rng.choice(("md5", "sha1", "sha256", "sha512"))
    digest = hashlib.new(name, rng.randbytes(8), usedforsecurity=False).hexdigest()
    return rng.choice((digest, digest.upper(), digest[:7], digest[:12]))


def _tensor(rng: random.Random) -> str:
    return json.dumps(
        rng.choice(
            (
                [rng.gauss(0, 1) for _ in range(16)],
                [round(rng.gauss(0, 10), 6) for _ in range(16)],
                [rng.randrange(10 ** rng.randrange(1, 10)) for _ in range(16)],
                [rng.gauss(0, 1) * 10 ** rng.randrange(-20, 20) for _ in range(16)],
            )
        )
    )


MAKERS: Mapping[str, Maker] = {
    "order numbers": lambda rng: _number(rng, rng.randrange(5, 13)),
    "order codes": lambda rng: f"ORD-{rng.randrange(2015, 2030)}-{_number(rng, 6)}",
    "part numbers": lambda rng: f"{rng.choice('BKLMQ')}{_number(rng, 4)}-{_number(rng, 3)}",
    "UUIDs": lambda rng: str(uuid.UUID(int=rng.getrandbits(128), version=4)),
    "digests": _digest,
    "ISBN-13": _isbn13,
    "ISBN-10": _isbn10,
    "timestamps": _timestamp,
    "versions": _version,
    "prices": _price,
    "models": _model,
    "tensors": _tensor,
    "coordinates": lambda rng: f"{rng.uniform(-90, 90):.6f}, {rng.uniform(-180, 180):.6f}",
    "ranges": lambda rng: f"{_number(rng, 4)}-{_number(rng, 4)}",
    "paths": lambda rng: f"/var/log/{_number(rng, 8)}/part-{_number(rng, 5)}.parquet",
    "snowflakes": lambda rng: _number(rng, 18),
}


def impostor(kind: str, rng: random.Random) -> str:
    """One look-alike in a sentence."""
    sentences = NUMBERED if kind.startswith("order") and rng.random() < 0.5 else SENTENCES
    return rng.choice(sentences).format(MAKERS[kind](rng))
