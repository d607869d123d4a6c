"""Tokens that are withdrawn before they expire, by issuer and `jti` (RFC 7519, 4.1.7)."""

from collections.abc import Set
from pathlib import Path

from pydantic import Field, model_validator

from protos.errors import invalid
from protos.quantities import Duration, seconds
from protos.settings import Settings

MAX_FILE_BYTES = 64 * 1024 * 1024

# The issuer's name, not its URL, and the token's `jti`.
TokenId = tuple[str, str]


class Revocation(Settings):
    """Where withdrawn tokens are listed: in a `file`, in the record `store`, or both.

    The lists are read again every few seconds. When that fails, the last ones count for `keep`;
    after that, no token does, since any might be withdrawn.
    """

    file: Path | None = None
    store: bool = Field(False, description="Those of `penstock keys revoke-token`.")
    keep: Duration = seconds("1h")

    @model_validator(mode="after")
    def _somewhere(self) -> "Revocation":
        if self.file is None and not self.store:
            raise ValueError("revocation names a file, or says `store: true`")
        return self


def read_file(path: Path) -> Set[TokenId]:
    """A line for each token: the issuer's name, a blank, the `jti`; # begins a comment line.

    Raises INVALID, naming the line, for one that can't be meant so: a list that is half understood
    would let withdrawn tokens pass.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise invalid(f"revocation.file: {path} is larger than {MAX_FILE_BYTES >> 20} MiB")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        why = getattr(failure, "strerror", None) or "it is not UTF-8"
        raise invalid(f"revocation.file: {path} can't be read: {why}") from failure
    found = set()
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        issuer, _, token = line.partition(" ")
        if not token.strip():
            raise invalid(f"revocation.file: {path}, line {number}: is not an issuer and a jti")
        found.add((issuer, token.strip()))
    return found
