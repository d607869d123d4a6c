"""What machines and shops write that looks like people's data: whole lines of it."""

import json
import random
import string
import uuid
from collections.abc import Callable, Mapping

from tests.policies.pii.forms import pattern

Maker = Callable[[random.Random], str]

WORDS = ["cache", "queue", "batch", "tensor", "layer", "token", "model", "worker", "shard", "index"]


def _hex(rng: random.Random, size: int) -> str:
    return "".join(rng.choice("0123456789abcdef") for _ in range(size))


def _clock(rng: random.Random) -> str:
    return pattern(rng, f"2025-0{rng.randrange(1, 9)}-1#T1#:2#:3#.###Z")


def _log(rng: random.Random) -> str:
    word = rng.choice(WORDS)
    return rng.choice(
        (
            f"{_clock(rng)} INFO [{word}-{rng.randrange(64)}] done in {rng.random() * 1e3:.3f} ms"
            f" trace={_hex(rng, 32)} span={_hex(rng, 16)}",
            f"I0{pattern(rng, '### 12:34:56.######')} {rng.randrange(10**5)} {word}.cc:"
            f"{rng.randrange(999)}] step {rng.randrange(10**6)} loss {rng.random():.6f}",
            f"[{rng.uniform(0, 99999):12.6f}] {word}: allocated {rng.randrange(10**10)} bytes at"
            f" 0x{_hex(rng, 12)}",
            f"{_clock(rng)} WARN {word} offset={rng.randrange(10**12)} lag={rng.randrange(10**6)}"
            f" partition={rng.randrange(99)}",
            f"GET /v2/models/{word}/infer?id={rng.randrange(10**9)} 200 {rng.randrange(10**5)}"
            f" {rng.random():.4f}",
            f"container {_hex(rng, 12)} exited ({rng.randrange(255)}) pid {rng.randrange(10**5)}",
        )
    )


def _code(rng: random.Random) -> str:
    word = rng.choice(WORDS)
    return rng.choice(
        (
            f"const {word.upper()}_MAX = {rng.randrange(2**32)}; // 0x{_hex(rng, 8)}",
            f"std::array<int, {rng.randrange(99)}> {word}{{{{1, 2, 3}}}};",
            f"x = {word}[::2] + {word}[1::3, ..., {rng.randrange(9)}:]",
            f"assert {word}.shape == (1, 3, 224, 224) and seed == {rng.randrange(10**9)}",
            f"#define {word.upper()} {rng.randrange(10**9)}UL",
            f"import {word} from '@org/{word}@{pattern(rng, '1#.#.#')}'",
            f"@{word}.setter  # noqa: E{rng.randrange(100, 999)}",
            f"color: #{_hex(rng, 6)}; margin: {rng.randrange(99)}px {rng.randrange(99)}px 0 auto;",
            f"password = os.environ['{word.upper()}_PASSWORD']",
            f"def {word}(token: str, password: str | None = None) -> None: ...",
            f"torch.manual_seed({rng.randrange(10**10)})",
            f"crontab: {rng.randrange(60)} {rng.randrange(24)} * * 1 /usr/bin/{word}",
        )
    )


def _csv(rng: random.Random) -> str:
    return rng.choice(
        (
            ",".join(str(rng.randrange(10 ** rng.randrange(1, 8))) for _ in range(12)),
            ";".join(f"{rng.uniform(-999, 999):.4f}" for _ in range(10)),
            "\t".join(str(rng.randrange(1000)) for _ in range(16)),
            " ".join(str(rng.randrange(256)) for _ in range(24)),
            " ".join(f"{rng.gauss(0, 1):.3e}" for _ in range(10)),
            f"{_clock(rng)},{rng.randrange(10**6)},{rng.random():.6f},{rng.choice(WORDS)}",
        )
    )


def _shop(rng: random.Random) -> str:
    return rng.choice(
        (
            f"Your order {pattern(rng, '1##-#######-#######')} has shipped",
            f"Order #{rng.randrange(10**10)} total ${rng.uniform(1, 9999):,.2f}",
            f"tracking number 1Z{pattern(rng, '@@@##')}{pattern(rng, '##########')}",
            f"Tracking no. {pattern(rng, '############')}",
            f"invoice INV-{rng.randrange(10**8):08d} of 2025-0{rng.randrange(1, 9)}-12",
            f"SKU {pattern(rng, '@@@-####-##')} qty {rng.randrange(99)}",
            f"part no. {pattern(rng, '###-###-####')}",
            f"P/N {pattern(rng, '##-#####-###')} rev {rng.choice('ABCD')}",
            f"EAN {pattern(rng, '#############')}",
            f"UPC: {pattern(rng, '############')}",
            f"item {pattern(rng, '########')}, lot {pattern(rng, '#####@')}",
            f"{pattern(rng, '@@####')} in stock: {rng.randrange(10**4)}",
            f"ISBN {pattern(rng, '978-3-16-######-#')}",
            f"ISSN {pattern(rng, '####-####')}",
            f"RMA {pattern(rng, '#########')} approved",
            f"voucher {pattern(rng, '@@@@-####-@@@@')}",
            f"€ {rng.randrange(1, 999)}.{rng.randrange(100, 999)},{rng.randrange(10, 99)}",
            f"{rng.randrange(1, 999)} {rng.randrange(100, 999)} {rng.randrange(100, 999)} Kč",
            f"prices from 1,{rng.randrange(100, 999)}.00 to 2,{rng.randrange(100, 999)}.00",
        )
    )


def _names(rng: random.Random) -> str:
    word = rng.choice(WORDS)
    return rng.choice(
        (
            f"{word}-{rng.randrange(10**10):x}-{_hex(rng, 5)}",
            f"arn:aws:iam::{pattern(rng, '############')}:role/{word}",
            f"gs://bucket-{rng.randrange(999)}/{word}/{rng.randrange(10**8):08d}.tfrecord",
            f"{word}:{rng.randrange(30)}.{rng.randrange(30)}.{rng.randrange(999)}-alpine3.{rng.randrange(20)}",
            f"commit {_hex(rng, 40)}",
            f"see {_hex(rng, 7)} and {_hex(rng, 10)}",
            f"arXiv:{pattern(rng, '24##.#####')}v{rng.randrange(1, 5)}",
            f"doi:10.{pattern(rng, '####')}/{word}.{rng.randrange(10**6)}",
            pattern(rng, "CVE-2024-#####, RFC ####, CAS ####-##-#"),
            f"{word.upper()}-{rng.randrange(10**5)} blocks {word.upper()}-{rng.randrange(10**5)}",
            f"{uuid.UUID(int=rng.getrandbits(128), version=4)}",
            f"{{{str(uuid.UUID(int=rng.getrandbits(128))).upper()}}}",
            f"urn:uuid:{uuid.UUID(int=rng.getrandbits(128))}",
            f"Meta-Llama-3.1-{rng.choice((8, 70, 405))}B-Instruct-Q{rng.randrange(2, 9)}_K_M.gguf",
            f"gpt-4.1-mini-2025-04-{rng.randrange(10, 30)} on {rng.randrange(1, 9)}x H100-80GB",
            f"{word}@{_hex(rng, 7)}",
            f"sha256:{_hex(rng, 64)}",
            f"firmware {'.'.join(str(rng.randrange(20)) for _ in range(4))}",
            f"Chrome/{rng.randrange(90, 140)}.0.{pattern(rng, '6###.1##')} Safari/537.36",
            f"oid 1.3.6.1.4.1.{rng.randrange(99999)}.{rng.randrange(99)}",
            f"http://{word}.internal:8080/v1/{rng.randrange(10**9)}?t={rng.randrange(10**13)}",
            f"e-mail@{word}, {word}@2x.png, @{word} and {word}@",
            "".join(rng.choice(string.ascii_letters + string.digits + "+/") for _ in range(76)),
        )
    )


def _time(rng: random.Random) -> str:
    return rng.choice(
        (
            f"{rng.randrange(10**9, 2 * 10**9)}",
            f"ts={rng.randrange(10**12, 2 * 10**12)}",
            f"{_clock(rng)} to {_clock(rng)}",
            f"12:{rng.randrange(10, 60)}:{rng.randrange(10, 60)}.{rng.randrange(10**6)}",
            f"on {rng.randrange(1, 29)}/{rng.randrange(1, 13)}/2024 at 10:{rng.randrange(10, 60)}",
            f"2024{rng.randrange(10, 13)}{rng.randrange(10, 29)}T{rng.randrange(10, 24)}3000Z",
            f"2024-W{rng.randrange(10, 53)}-{rng.randrange(1, 7)}, day {rng.randrange(366)}",
            pattern(rng, "from 2019 to 202#, pp. #1##-##2#"),
            pattern(rng, "1-2#-2024 1#:00:00+02:00"),
        )
    )


def _json(rng: random.Random) -> str:
    return json.dumps(
        rng.choice(
            (
                {"scores": [rng.random() for _ in range(6)], "id": rng.randrange(10**10)},
                {
                    "shape": [rng.randrange(1, 4096) for _ in range(4)],
                    "offset": rng.randrange(10**12),
                },
                {
                    "usage": {
                        "prompt_tokens": rng.randrange(10**5),
                        "created": rng.randrange(10**9, 2 * 10**9),
                    }
                },
                {"order_id": str(rng.randrange(10**9, 10**12)), "sku": pattern(rng, "@@#######")},
                {
                    "lat": rng.uniform(-90, 90),
                    "lon": rng.uniform(-180, 180),
                    "alt": rng.randrange(9000),
                },
                [[rng.gauss(0, 1) for _ in range(4)] for _ in range(3)],
                {"hash": _hex(rng, 40), "size": rng.randrange(10**12), "mtime": rng.random() * 2e9},
            )
        ),
        indent=rng.choice((None, 2)),
    )


LINES: Mapping[str, Maker] = {
    "logs": _log,
    "code": _code,
    "tables": _csv,
    "shops": _shop,
    "names of things": _names,
    "times": _time,
    "JSON": _json,
}
