"""Texts through a privacy policy: the first byte says which one, the rest is the text.

Findings are in order and apart; nothing that was found is in what is passed on; what was hidden to
be restored comes back as it was; and a text in pieces is redacted as the whole one.
"""

from random import Random

from policies.pii.redactor import Redactor
from policies.pii.settings import Pattern, Policy, Rule
from policies.pii.streams import StreamRedactor, StreamRestorer

KEY = b"a key for fuzzing, and only for it"
PROJECT = Pattern(entity="PROJECT", pattern=r"[Pp]roject \w+ \w+", maxLength=32)
REDACTORS = tuple(
    Redactor(Policy(default=Rule(action=action), patterns=patterns), KEY)
    for action in ("restore", "hash", "replace")
    for patterns in ((), (PROJECT,))
)


def one(data: bytes) -> None:
    text = data[2:].decode("utf-8", "ignore")
    which, cuts = (data[0], Random(data[1])) if len(data) > 1 else (0, Random(0))
    redactor = REDACTORS[which % len(REDACTORS)]
    vault = redactor.vault("acme")
    redacted = redactor.redact(text, vault)
    done = 0
    for span in redacted.spans:
        assert done <= span.start < span.end <= len(text), redacted.spans
        assert 0.0 <= span.score <= 1.0
        done = span.end
    values = [text[span.start : span.end] for span in redacted.spans]
    for value in values:
        # It may be part of something larger elsewhere, which is no such finding.
        assert text.count(value) > values.count(value) or value not in redacted.text
    if redactor.policy.default.action == "restore":
        assert vault.restore(redacted.text) == text
        restorer = StreamRestorer(vault)
        assert _in_pieces(restorer, redacted.text, cuts) == text
    stream = StreamRedactor(redactor, redactor.vault("acme"))
    assert _in_pieces(stream, text, cuts) == redacted.text
    assert tuple(stream.spans) == redacted.spans


def _in_pieces(stream: StreamRedactor | StreamRestorer, text: str, cuts: Random) -> str:
    given = []
    while text:
        size = cuts.choice((1, 2, 3, 7, 20, len(text)))
        given.append(stream.push(text[:size]))
        text = text[size:]
    return "".join((*given, stream.flush()))
