"""What finding and hiding people's data costs: `python -m benchmarks.pii`.

Every figure is of one core, in microseconds; texts have 2,048 characters unless said otherwise.
There are 100 texts of a kind, taken in turn, so that nothing is measured that only a cache
remembers. A text's time is the best of ten rounds (what else the machine does is not our subject);
shown are the median and the 99th percentile of the texts.
"""

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.table import Table

from policies.pii.redactor import Redactor
from policies.pii.settings import Policy
from policies.pii.streams import StreamRedactor, StreamRestorer

SIZE = 2048
TEXTS = 100
ROUNDS = 10

_WORDS = """
    the of and to in a is that for it as was with be by on not he his but at are this have from or
    had an they which one you were all her she there would their we him been has when who will no
    more if out so up said what its about than into them can only other time new some could these
    two may first then do any like my now over such our man me even most made after also did many
    off before must well back through years where much your way down should because long each
"""
# Words that make weak patterns count; next to a number each of them costs a closer look.
_TELLING = "account number card phone call contact model order version address request response"

Case = tuple[
    str, Callable[[int], object], float | None, float | None
]  # name, call, p50, p99 wanted


def prose(rng: random.Random, size: int = SIZE, telling: bool = False) -> str:
    """Sentences of common words, some with a small number or a date in it."""
    known = (_WORDS + _TELLING * telling).split()
    pieces: list[str] = []
    length = 0
    while length < size:
        words = rng.choices(known, k=rng.randrange(6, 16))
        if rng.random() < 0.3:
            words.append(rng.choice(("12 times", "in 2024", "3.5 %", "v1.2.3", "2024-01-15")))
        sentence = " ".join(words).capitalize() + ". "
        pieces.append(sentence)
        length += len(sentence)
    return "".join(pieces)[:size]


def floats(rng: random.Random) -> str:
    return json.dumps([rng.gauss(0, 1) for _ in range(128)])[:SIZE]


def finding(rng: random.Random) -> str:
    return rng.choice(
        (
            f"jane.doe{rng.randrange(1000)}@example.com",
            f"+1 415-555-{rng.randrange(1000, 9999)}",
            "4111 1111 1111 1111",
            f"536-90-{rng.randrange(1000, 9999)}",
            "DE89 3704 0044 0532 0130 00",
            f"203.0.113.{rng.randrange(1, 255)}",
        )
    )


def with_findings(rng: random.Random, count: int) -> str:
    words = prose(rng, telling=True).split(" ")
    step = len(words) // count
    for at in range(count):
        words[at * step + step // 2] = finding(rng)
    return " ".join(words)[:SIZE]


def cases() -> Iterator[Case]:
    redactor = Redactor(Policy(), bytes(32))
    rng = random.Random(1)

    def whole(texts: Sequence[str]) -> Callable[[int], object]:
        def call(index: int) -> object:
            return redactor.redact(texts[index % TEXTS], redactor.vault("acme"))

        return call

    def many(make: Callable[[], str]) -> Callable[[int], object]:
        return whole([make() for _ in range(TEXTS)])

    accents = str.maketrans("ae", "äé")
    yield "clean prose", many(lambda: prose(rng)), 20, 50
    yield "clean prose about cards and calls", many(lambda: prose(rng, telling=True)), 20, 50
    yield "clean prose with accents", many(lambda: prose(rng).translate(accents)), None, None
    yield "JSON floats", many(lambda: floats(rng)), 20, None
    yield "64 characters of prose", many(lambda: prose(rng, 64)), None, None
    yield "3 findings", many(lambda: with_findings(rng, 3)), 250, 500
    yield "30 findings", many(lambda: with_findings(rng, 30)), 1000, 1500
    escaped = many(lambda: with_findings(rng, 3).replace("@", "&#64;"))
    yield "3 findings, some disguised", escaped, None, None

    answer = with_findings(rng, 3)
    vault = redactor.vault("acme")
    hidden = redactor.redact(answer, vault).text
    yield "restore 3 placeholders", lambda _: vault.restore(hidden), None, None
    yield from tokens("redact a token of a stream", answer, lambda: redacting(redactor))
    yield from tokens("restore a token of a stream", hidden, lambda: StreamRestorer(vault))


def redacting(redactor: Redactor) -> StreamRedactor:
    return StreamRedactor(redactor, redactor.vault("acme"))


def tokens(
    name: str, text: str, make: Callable[[], StreamRedactor | StreamRestorer]
) -> Iterator[Case]:
    """One push of four characters; the stream is made anew with each round."""
    pieces = [text[at : at + 4] for at in range(0, 4 * TEXTS, 4)]
    stream = make()

    def push(index: int) -> object:
        nonlocal stream
        if index == 0:
            stream = make()
        return stream.push(pieces[index])

    yield name, push, None, None


def quantiles(call: Callable[[int], object]) -> tuple[float, float]:
    """Median and 99th percentile over the texts, in microseconds."""
    best = [float("inf")] * TEXTS
    for _ in range(ROUNDS):
        for index in range(TEXTS):
            start = time.perf_counter()
            call(index)
            best[index] = min(best[index], time.perf_counter() - start)
    best.sort()
    return best[TEXTS // 2] * 1e6, best[TEXTS * 99 // 100 - 1] * 1e6


def held() -> tuple[float, int]:
    """Characters that a stream of prose with three findings holds back: the mean and the most."""
    text = with_findings(random.Random(2), 3)
    stream = redacting(Redactor(Policy(), bytes(32)))
    given, waiting = 0, []
    for count, letter in enumerate(text, 1):
        given += len(stream.push(letter))
        waiting.append(max(0, count - given))
    return sum(waiting) / len(waiting), max(waiting)


def main() -> None:
    table = Table("what", "p50 µs", "p99 µs", "wanted", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, call, median, tail in cases():
        half, most = quantiles(call)
        wanted = "" if median is None else f"{median:,.0f}" + (f" / {tail:,.0f}" if tail else "")
        table.add_row(name, f"{half:,.1f}", f"{most:,.1f}", wanted)
    Console().print(table)
    mean, most_held = held()
    print(f"\nA stream of prose holds back {mean:.0f} characters on average, {most_held} at most.")


if __name__ == "__main__":
    main()
