"""The tokens that `penstock up` and the command line make for themselves while developing."""

import os
from pathlib import Path

from gateway.config import Config
from policies.issuers import Issuer
from policies.tokens import ensure_secret, issue
from protos.errors import invalid

TENANT = "development"
_DAY = 86400.0


class Credentials:
    """Signs with the configuration's development issuer, whose secret is made on first use.

    Raises INVALID where the configuration has no such issuer.
    """

    def __init__(self, config: Config) -> None:
        self._issuer = development_issuer(config)
        self.lifetime = min(_DAY, self._issuer.max_lifetime)
        # Beside the secret itself, and as secret: what pasted commands and the backends read.
        folder = config.state_folder.resolve()
        self.token_file = folder / "token"
        self.join_token_file = folder / "join-token"
        self._renew_at = 0.0

    def renew(self, now: float) -> None:
        """Writes both files anew when half of their life is over; `now` is wall time."""
        if now < self._renew_at:
            return
        _write(self.token_file, self.token(TENANT, ("infer:*",), self.lifetime, now))
        _write(self.join_token_file, self.token(TENANT, ("backend:join",), self.lifetime, now))
        self._renew_at = now + self.lifetime / 2

    def admin(self, now: float) -> str:
        """A short-lived token for our own questions."""
        return self.token(TENANT, ("admin", "infer:*"), min(300.0, self.lifetime), now)

    def token(
        self,
        tenant: str,
        scopes: tuple[str, ...],
        lifetime: float,
        now: float,
        subject: str = "developer",
    ) -> str:
        return issue(
            self._issuer, tenant=tenant, scopes=scopes, subject=subject, lifetime=lifetime, now=now
        )


def development_issuer(config: Config) -> Issuer:
    """The issuer whose tokens we may sign, with its secret in place; raises INVALID for none."""
    for issuer in config.issuers:
        if issuer.development and issuer.secret_file is not None:
            issuer.secret_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            ensure_secret(issuer.secret_file)
            return issuer
    raise invalid("issuers: none has `development: true`, so there is nobody to sign a token")


def _write(path: Path, text: str) -> None:
    """Whole or not at all, for the owner's eyes only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
    draft.replace(path)
