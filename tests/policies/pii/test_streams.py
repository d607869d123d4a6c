import random

import pytest

from policies.pii import streams
from policies.pii.redactor import Redactor
from policies.pii.settings import Pattern, Policy, Rule
from policies.pii.streams import StreamRedactor, StreamRestorer
from policies.pii.vault import Vault
from protos.errors import Kind, PenstockError
from tests.policies.pii.finding import KEY, redactor
from tests.policies.pii.identifiers import IDENTIFIERS
from tests.policies.pii.sentences import person

KEY_BLOCK = (
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF8Pb\nAb12\n"
    "-----END RSA PRIVATE KEY-----"
)
# What findings can depend on: contexts, disguises, cuts, and text that only begins like something.
SCRAPS = (
    "the invoice was sent to our office. ",
    "4111 1111 1111 ",
    "alice&#64;example.com",
    "bo\u200bb@example.com ",
    "alice (at) example (dot) com",
    '{"ssn": "',
    '"}\n',
    "12 34 56 78 90 12 ",
    "is my passport ",
    "order ",
    "Z12803456 ",
    "汉字",
    "é",
    "\u200b" * 20,
    "&amp;",
    "\\n",
    "%41",
    "+1 (41",
    "Project blue falcon ",
    "12th of march 1990 ",
    "born ",
    "AB12CDE is a driver license, ",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-DEF_1 ",
    "[EMAIL_",
    "[1]",
    KEY_BLOCK,
    KEY_BLOCK[:60],
    # The beginnings of other keys, which end none.
    "-----BEGIN PRIVATE KEY-----\nProc-Type: 4, then ",
    "-----END RSA PRIVATE KEY-----",
    "alice&#0000064example.com ",
    "bo\\u{62}@example.com ",
    "&#604",
    "bob\x00@exa\u3164mple.com ",
    "4111\u064b1111\U000e01001111\x011111 ",
)
OWN = Policy(
    patterns=(Pattern(entity="PROJECT", pattern=r"[Pp]roject \w+ \w+", maxLength=32),),
)


def random_text(rng: random.Random) -> str:
    pieces = []
    for _ in range(rng.randrange(1, 12)):
        piece = (
            rng.choice(SCRAPS) if rng.random() < 0.6 else person(rng.choice([*IDENTIFIERS]), rng)[0]
        )
        if rng.random() < 0.15:
            piece = piece[: rng.randrange(len(piece) + 1)]
        pieces.append(piece + rng.choice(("", " ", ", ", "\n")))
    return "".join(pieces)


def chunks(text: str, rng: random.Random) -> list[str]:
    longest = rng.choice((1, 3, 8, 40, 120))
    pieces, at = [], 0
    while at < len(text):
        size = rng.randint(1, longest)
        pieces.append(text[at : at + size])
        at += size
    return pieces


def streamed(stream: StreamRedactor | StreamRestorer, pieces: list[str]) -> str:
    return "".join([*map(stream.push, pieces), stream.flush()])


@pytest.mark.parametrize("part", range(8))
@pytest.mark.parametrize("policy", [Policy(), OWN], ids=["built-in", "own patterns"])
def test_every_chunking_gives_what_the_whole_text_gives(policy: Policy, part: int) -> None:
    """5,000 chunkings of a redacted and as many of a restored text, in 16 parts together 10,000."""
    rng = random.Random(part)
    made = Redactor(policy, KEY)
    for _ in range(25):
        text = random_text(rng)
        vault = made.vault("acme")
        whole = made.redact(text, vault)
        assert vault.restore(whole.text) == text
        for _ in range(13):
            stream = StreamRedactor(made, made.vault("acme"))
            assert streamed(stream, chunks(text, rng)) == whole.text
            assert tuple(stream.spans) == whole.spans
            restorer = StreamRestorer(vault)
            assert streamed(restorer, chunks(whole.text, rng)) == text


def held(text: str) -> int:
    """The most characters that a stream of single characters ever held back."""
    stream = StreamRedactor(redactor(), redactor().vault("acme"))
    given = most = 0
    for count, letter in enumerate(text, 1):
        given += len(stream.push(letter))
        most = max(most, count - given)
    return most


def test_prose_is_held_back_for_a_word_or_two() -> None:
    assert held("the weather has been rather pleasant during these last weeks " * 5) < 20


def test_tables_of_numbers_are_held_back_for_less_than_a_line() -> None:
    assert held("0.25 17 3 " * 100) < 270


def test_text_without_an_end_is_not_looked_at_with_every_piece(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """60 KB of base64 and of a key that does not end, in tokens of 4 characters."""
    seen: list[int] = []
    real = streams.settled

    def counting(data: bytes, start: int, wait: int) -> int:
        seen.append(len(data))
        return real(data, start, wait)

    monkeypatch.setattr(streams, "settled", counting)
    body = "Zm9vYmFyZm9v" * 5000
    for text in (body, f"-----BEGIN PRIVATE KEY-----\n{body}"):
        stream = StreamRedactor(redactor(), redactor().vault("acme"))
        seen.clear()
        pieces = [text[at : at + 4] for at in range(0, len(text), 4)]
        assert streamed(stream, pieces) == redactor().redact(text, redactor().vault("acme")).text
        assert sum(seen) < 100 * len(text)


def test_what_was_given_out_is_forgotten() -> None:
    stream = StreamRedactor(redactor(), redactor().vault("acme"))
    for _ in range(2000):
        stream.push("some more words of text, ")
    assert len(stream._text) < 1100


def test_what_is_blocked_is_never_given_out() -> None:
    made = Redactor(Policy(entities={"US_SSN": Rule(action="block")}), KEY)
    stream = StreamRedactor(made, made.vault("acme"))
    assert stream.push("your number is 536-90-") == "your number "
    assert stream.push("4399") == ""
    with pytest.raises(PenstockError) as caught:
        stream.push(" and that was all of it, as far as anybody can remember, so let it be")
    assert caught.value.kind is Kind.FORBIDDEN


def vault() -> tuple[Vault, str]:
    made = redactor().vault("acme")
    return made, made.hide("EMAIL", 'a"b@example.com', 'a"b@example.com')


def test_brackets_that_are_no_placeholders_are_not_held_back() -> None:
    made, _ = vault()
    restorer = StreamRestorer(made)
    assert restorer.push("see [1] and [a") == "see [1] and [a"
    assert restorer.push(" [EMAIL_") == " "
    assert restorer.push("x") == "[EMAIL_x"


def test_restored_arguments_stay_json() -> None:
    made, place = vault()
    restorer = StreamRestorer(made, escaped=True)
    assert streamed(restorer, [*f'{{"to": "{place}"}}']) == '{"to": "a\\"b@example.com"}'
