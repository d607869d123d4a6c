"""API keys: what is stored of them, and whom they name."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from policies.api_keys import (
    ApiKey,
    ApiKeySettings,
    KeyBook,
    digest,
    make_key,
    read_secret,
    reader,
)
from policies.refusal import Rejected
from protos.errors import Kind, PenstockError
from protos.principal import Principal
from tests.policies.issuer_keys import NOW

SECRET = b"0123456789abcdef0123456789abcdef"


def made(**changes: Any) -> tuple[ApiKey, bytes]:
    wanted: dict[str, Any] = {
        "name": "nightly scoring",
        "tenant": "acme",
        "scopes": ["infer:fraud-*", "metrics"],
        "lifetime": 3600.0,
        "now": NOW,
        "by": "ann",
    }
    stored, key = make_key(SECRET, **wanted | changes)
    return stored, key.encode()


def test_a_key_names_its_bearer() -> None:
    stored, key = made()
    principal = KeyBook.of(SECRET, [stored]).principal(key, NOW)
    assert principal == Principal(
        "nightly scoring", "acme", frozenset({"infer:fraud-*", "metrics"}), "api key"
    )
    assert principal.claims == {"key": stored.id}


def test_keys_are_long_random_and_easily_recognised() -> None:
    keys = {made()[1] for _ in range(100)}
    assert len(keys) == 100
    assert all(re.fullmatch(rb"pk_[a-z2-7]{16}_[a-z2-7]{52}", key) for key in keys)


def test_nothing_that_is_stored_or_shown_makes_a_key() -> None:
    stored, key = made()
    secret_part = key.rpartition(b"_")[2]
    assert secret_part not in stored.digest + stored.sealed_with + stored.id.encode()
    assert stored.digest == digest(SECRET, key)
    assert repr(stored.digest) not in repr(stored)
    assert SECRET.decode() not in repr(KeyBook.of(SECRET, [stored]))


@pytest.mark.parametrize("change", [slice(None, -1), slice(3, None), slice(None, 19)])
def test_a_part_of_a_key_is_none(change: slice) -> None:
    stored, key = made()
    with pytest.raises(Rejected, match="unknown or revoked"):
        KeyBook.of(SECRET, [stored]).principal(key[change], NOW)


def test_what_is_too_long_is_not_even_digested() -> None:
    stored, key = made()
    with pytest.raises(Rejected, match="too long"):
        KeyBook.of(SECRET, [stored]).principal(key + b"a" * 100, NOW)


def test_keys_expire_to_the_second() -> None:
    stored, key = made()
    book = KeyBook.of(SECRET, [stored])
    assert book.principal(key, NOW + 3599.9)
    with pytest.raises(Rejected, match="expired"):
        book.principal(key, NOW + 3600.0)
    forever, key = made(lifetime=None)
    assert KeyBook.of(SECRET, [forever]).principal(key, NOW * 2)


def test_revoked_keys_name_nobody() -> None:
    stored, key = made()
    book = KeyBook.of(SECRET, [replace(stored, revoked=NOW, revoked_by="bob")])
    with pytest.raises(Rejected, match="unknown or revoked"):
        book.principal(key, NOW)


def test_keys_made_with_another_secret_are_told_apart() -> None:
    stored, key = made()
    book = KeyBook.of(b"another secret that is long enough", [stored])
    assert book.sealed_otherwise == 1
    with pytest.raises(Rejected):
        book.principal(key, NOW)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": ""}, "name: must be 1 to 256 printable"),
        ({"name": "a\n"}, "name: must be 1 to 256 printable"),
        ({"tenant": " "}, "tenant: must be 1 to 256 printable"),
        ({"tenant": "t" * 257}, "tenant: must be"),
        ({"scopes": []}, "scope: a key without one could do nothing"),
        ({"scopes": ["infer"]}, 'scope: "infer" is none of'),
        ({"scopes": ["infer:*", "root"]}, 'scope: "root" is none of'),
        ({"lifetime": 0.0}, "lifetime: must be more than zero"),
        ({"lifetime": -1.0}, "lifetime: must be more than zero"),
    ],
    ids=str,
)
def test_a_key_that_would_be_no_good_is_not_made(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PenstockError, match=sentence) as caught:
        made(**changes)
    assert caught.value.kind is Kind.INVALID


def settings(folder: Path) -> ApiKeySettings:
    return ApiKeySettings.model_validate({"secretFile": folder / "secret"})


def test_the_secret_is_needed_only_when_there_are_keys(tmp_path: Path) -> None:
    stored, key = made()
    keys: list[ApiKey] = []
    read = reader(settings(tmp_path), lambda: keys)
    assert not read().bearers
    keys.append(stored)
    with pytest.raises(PenstockError, match=r"secretFile is not usable: .*: No such file"):
        read()
    (tmp_path / "secret").write_bytes(SECRET + b"\n")
    assert read().principal(key, NOW)


def test_keys_of_another_secret_are_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "secret").write_bytes(b"another secret that is long enough")
    read = reader(settings(tmp_path), lambda: [made()[0]])
    read()
    read()
    assert caplog.messages == [
        "1 API keys were made with another secret than this gateway's, and are refused"
    ]


@pytest.mark.parametrize("size", [0, 31, 65])
def test_a_secret_has_a_size(tmp_path: Path, size: int) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"s" * size + b"\n")
    with pytest.raises(PenstockError, match=f"has {size} bytes, not 32 to 64 bytes"):
        read_secret(path)
