"""`penstock redact`: lines in, lines out, without what a privacy policy hides."""

import json
import secrets
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from gateway.command import load_settings
from gateway.own_key import given_key
from gateway.privacy_key import privacy_key
from policies.pii.deep.loading import load as load_model
from policies.pii.deep.settings import Deep
from policies.pii.lines import LineRedactor
from policies.pii.redactor import Redacted, Redactor
from policies.pii.settings import Policy, PrivacyDocument, Rule
from policies.pii.tokens import MIN_KEY
from protos.errors import PenstockError, invalid
from protos.strict_yaml import load

# Nobody restores what this command hides, so the names of entities say it best.
BUILT_IN = Policy(default=Rule(action="replace"))

PolicyFile = Annotated[
    Path | None,
    typer.Option(
        "--policy",
        "-p",
        metavar="FILE",
        help="A privacy policy (kind: Privacy); without one all known entities are replaced.",
    ),
]
Spans = Annotated[
    bool,
    typer.Option("--spans", help="Prints JSON lines of what was found instead: offsets, scores."),
]
Tenant = Annotated[
    str,
    typer.Option("--tenant", metavar="NAME", help="Whose allow-lists and placeholders apply."),
]


KeyFile = Annotated[
    Path | None,
    typer.Option("--key-file", metavar="FILE", help="The key that placeholders are made with."),
]
Gateway = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Takes the key of the gateway configured there."),
]


def redact(
    policy: PolicyFile = None,
    spans: Spans = False,
    tenant: Tenant = "default",
    key_file: KeyFile = None,
    config: Gateway = None,
) -> None:
    """Reads lines from standard input and writes them redacted to standard output.

    A line that the policy blocks comes out empty, is told of on standard error, and makes the exit
    status 1; so does one that is not UTF-8. A private key may stand on several lines, which are
    held back until it ends. Placeholders hold within one run, and across runs with one key.
    """
    settings = BUILT_IN if policy is None else _load(policy)
    redactor = Redactor(settings, _key(key_file, config))
    if settings.deep is not None:
        redactor = _naming(redactor, settings.deep)
    failed = _run(redactor, sys.stdin.buffer, sys.stdout.buffer, spans, tenant)
    if failed:
        raise typer.Exit(1)


def _load(path: Path) -> Policy:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise invalid(f"{path} can't be read: {reason}") from None
    return load(text, str(path), PrivacyDocument).spec


def _key(key_file: Path | None, config: Path | None) -> bytes:
    if key_file is not None:
        return given_key("--key-file", key_file, MIN_KEY)
    if config is None:
        return secrets.token_bytes(32)
    settings = load_settings(config)
    return privacy_key(settings.privacy, settings.state_folder)


def _naming(redactor: Redactor, deep: Deep) -> Redactor:
    """The policy with its model loaded here, where nobody else waits."""
    try:
        model = load_model(deep.model, deep.entities)
    except ValueError as error:
        raise invalid(f"deep: {error}") from None
    return redactor.naming(lambda text: model.find([text])[0])


def _run(redactor: Redactor, lines: BinaryIO, out: BinaryIO, spans: bool, tenant: str) -> bool:
    """Whether a line was refused. What comes in and goes out is UTF-8, whatever the locale is."""
    output = _Output(redactor, out, spans)
    redacted = LineRedactor(redactor, tenant)
    for raw in lines:
        try:
            text = raw.removesuffix(b"\n").decode()
        except UnicodeDecodeError:
            output.write(redacted.flush())
            output.unreadable()
            continue
        output.write(redacted.push(text))
    output.write(redacted.flush())
    out.flush()
    return output.failed


class _Output:
    """Lines as they are printed; `failed` once one was refused."""

    def __init__(self, redactor: Redactor, out: BinaryIO, spans: bool) -> None:
        self._redactor = redactor
        self._out = out
        self._spans = spans
        self._written = 0  # lines
        self.failed = False

    def write(self, lines: Iterable[Redacted]) -> None:
        for line in lines:
            self._written += 1
            if self._spans:
                self._out.write(f"{_told(line)}\n".encode())
                continue
            try:
                self._redactor.check(line.spans)
            except PenstockError as error:
                self._refused(f": {error.message}", b"\n")
            else:
                self._out.write(f"{line.text}\n".encode())

    def unreadable(self) -> None:
        """In place of a line that is no text."""
        self._written += 1
        self._refused(" is not UTF-8", b'{"text": "", "spans": []}\n' if self._spans else b"\n")

    def _refused(self, why: str, instead: bytes) -> None:
        print(f"penstock: line {self._written}{why}", file=sys.stderr)
        self.failed = True
        self._out.write(instead)


def _told(line: Redacted) -> str:
    found = [
        {
            "start": span.start,
            "end": span.end,
            "entity": span.entity,
            "score": round(span.score, 3),
        }
        for span in line.spans
    ]
    return json.dumps({"text": line.text, "spans": found}, ensure_ascii=False)
