import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from policies.authenticate import Authenticator
from policies.tokens import ensure_secret, issue
from protos.errors import Kind, PenstockError
from protos.principal import Principal
from tests.policies.issuer_keys import NOW, secret_issuer


def token(folder: Path, **changes: Any) -> str:
    wanted: dict[str, Any] = {
        "tenant": "acme",
        "scopes": ["infer:fraud-*", "backend:join"],
        "subject": "ann",
        "lifetime": 3600.0,
        "now": NOW,
    }
    return issue(secret_issuer(folder, development=True), **wanted | changes)


def test_an_issued_token_is_accepted_until_it_expires(tmp_path: Path) -> None:
    ensure_secret(tmp_path / "secret")
    written = token(tmp_path)
    verify = Authenticator([secret_issuer(tmp_path, development=True)], lambda: NOW)
    assert verify(f"Bearer {written}") == Principal(
        "ann", "acme", frozenset({"infer:fraud-*", "backend:join"}), "company"
    )
    with pytest.raises(PenstockError):
        verify.verify(written.encode(), NOW + 3631)


def test_only_a_development_issuer_issues(tmp_path: Path) -> None:
    with pytest.raises(PenstockError, match="it issues its own tokens"):
        issue(secret_issuer(tmp_path), tenant="a", scopes=[], subject="b", lifetime=60.0, now=NOW)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"scopes": ["infer"]}, 'scope: "infer" is none of'),
        ({"scopes": ["infer:"]}, "is none of"),
        ({"scopes": ["infer:a b"]}, "is none of"),
        ({"scopes": ["root"]}, "is none of"),
        ({"scopes": ["infer:*a*"]}, "more than one"),
        ({"lifetime": 0.0}, "lifetime: must be above 0 and at most 86400 seconds"),
        ({"lifetime": 86401.0}, "lifetime: must be above 0"),
        ({"tenant": ""}, "tenant: must be 1 to 256 printable"),
        ({"subject": "a\n"}, "subject: must be 1 to 256 printable"),
        ({"subject": "a" * 257}, "subject: must be 1 to 256 printable"),
    ],
    ids=str,
)
def test_what_the_gateway_would_refuse_is_not_issued(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(PenstockError, match=sentence) as caught:
        token(tmp_path, **changes)
    assert caught.value.kind is Kind.INVALID


def test_the_secret_is_made_once_for_the_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    ensure_secret(path)
    first = path.read_text()
    ensure_secret(path)
    assert path.read_text() == first
    assert len(first) == 44
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_processes_that_start_together_agree_on_one_secret(tmp_path: Path) -> None:
    path = tmp_path / "secret"

    def start(_: int) -> str:
        ensure_secret(path)
        return path.read_text()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(start, range(32)))) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    ensure_secret(path)
    path.chmod(0o644)
    with pytest.raises(PenstockError, match="chmod 600"):
        ensure_secret(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_secret_that_somebody_else_mounted_may_be_readable_by_our_group(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    ensure_secret(path)
    os.chown(path, 65534, 0)
    path.chmod(0o440)
    ensure_secret(path)
    path.chmod(0o444)
    with pytest.raises(PenstockError, match="chmod 600"):
        ensure_secret(path)
