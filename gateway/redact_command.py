"""`penstock redact`: lines in, lines out, without what a privacy policy hides."""

import json
import secrets
import sys
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from policies.pii.redactor import Redactor
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


def redact(policy: PolicyFile = None, spans: Spans = False, tenant: Tenant = "default") -> None:
    """Reads lines from standard input and writes them redacted to standard output.

    A line that the policy blocks comes out empty, is told of on standard error, and makes the exit
    status 1; so does one that is not UTF-8. Placeholders hold within one run, and across runs where
    the policy has a keyFile.
    """
    settings = BUILT_IN if policy is None else _load(policy)
    redactor = Redactor(settings, _key(settings, policy))
    failed = _run(redactor, sys.stdin.buffer, spans, tenant)
    if failed:
        raise typer.Exit(1)


def _load(path: Path) -> Policy:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise invalid(f"{path} can't be read: {reason}") from None
    return load(text, str(path), PrivacyDocument).spec


def _key(settings: Policy, policy: Path | None) -> bytes:
    if settings.key_file is None or policy is None:
        return secrets.token_bytes(32)
    path = policy.parent / settings.key_file
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise invalid(f"keyFile {path} can't be read: {error.strerror}") from None
    if len(key) < MIN_KEY:
        raise invalid(f"keyFile {path} has {len(key)} bytes, {MIN_KEY} are needed")
    return key


def _run(redactor: Redactor, lines: BinaryIO, spans: bool, tenant: str) -> bool:
    """Whether a line was refused."""
    vault = redactor.vault(tenant)
    failed = False
    for number, raw in enumerate(lines, 1):
        try:
            text = raw.removesuffix(b"\n").decode()
        except UnicodeDecodeError:
            print(f"penstock: line {number} is not UTF-8", file=sys.stderr)
            failed = True
            print()
            continue
        result = redactor.redact(text, vault)
        if spans:
            found = [
                {
                    "start": span.start,
                    "end": span.end,
                    "entity": span.entity,
                    "score": round(span.score, 3),
                }
                for span in result.spans
            ]
            print(json.dumps({"text": result.text, "spans": found}, ensure_ascii=False))
            continue
        try:
            redactor.check(result.spans)
        except PenstockError as error:
            print(f"penstock: line {number}: {error.message}", file=sys.stderr)
            failed = True
            print()
            continue
        print(result.text)
    return failed
