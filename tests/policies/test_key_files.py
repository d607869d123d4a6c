"""Keys in files: what they must be like, and how their failures are named."""

import json
from pathlib import Path

import pytest

from policies.issuers import Issuer
from policies.key_files import load_key, load_keys
from protos.errors import PenstockError
from tests.policies.issuer_keys import (
    jwk,
    private_key,
    private_pem,
    public_issuer,
    public_pem,
    secret_issuer,
)


def unusable(issuer: Issuer) -> str:
    with pytest.raises(PenstockError) as caught:
        load_key(issuer)
    return caught.value.message


def test_a_missing_file_is_named_by_its_field(tmp_path: Path) -> None:
    issuer = secret_issuer(tmp_path)
    (tmp_path / "secret").unlink()
    assert unusable(issuer) == (
        f'the secretFile of issuer "company" is not usable: {tmp_path}/secret: '
        "No such file or directory"
    )


def test_a_line_break_after_a_secret_is_not_part_of_it(tmp_path: Path) -> None:
    issuer = secret_issuer(tmp_path)
    (tmp_path / "secret").write_bytes(b"s" * 40 + b"\r\n")
    assert load_key(issuer) == b"s" * 40


def test_a_short_secret_is_refused(tmp_path: Path) -> None:
    issuer = secret_issuer(tmp_path, algorithm="HS512")
    assert "too short for HS512" in unusable(issuer)


def test_a_public_key_is_no_secret(tmp_path: Path) -> None:
    issuer = secret_issuer(tmp_path)
    (tmp_path / "secret").write_bytes(public_pem(private_key("RS256")))
    assert "holds no key for HS256" in unusable(issuer)


@pytest.mark.parametrize(
    ("algorithm", "other"), [("RS256", "ES256"), ("ES256", "ES384"), ("EdDSA", "RS256")]
)
def test_a_key_of_another_family_or_curve_is_refused(
    tmp_path: Path, algorithm: str, other: str
) -> None:
    issuer = public_issuer(tmp_path, algorithm, public_pem(private_key(other)))
    assert f"holds no key for {algorithm}" in unusable(issuer)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_private_key_is_refused(tmp_path: Path, algorithm: str) -> None:
    issuer = public_issuer(tmp_path, algorithm, private_pem(private_key(algorithm)))
    assert "does not belong on a gateway" in unusable(issuer)


def test_rubbish_is_refused(tmp_path: Path) -> None:
    assert "holds no key" in unusable(public_issuer(tmp_path, "RS256", b"rubbish"))


def jwks_issuer(folder: Path, content: str) -> Issuer:
    path = folder / "keys.json"
    path.write_text(content)
    return Issuer.model_validate(
        {"name": "company", "issuer": "i", "algorithm": "ES256", "jwksFile": path}
    )


def test_a_file_may_hold_several_keys_by_their_ids(tmp_path: Path) -> None:
    keys = {kid: private_key("ES256") for kid in ("old", "new")}
    members = [jwk(key, "ES256", kid) for kid, key in keys.items()]
    loaded = load_keys(jwks_issuer(tmp_path, json.dumps({"keys": members})))
    assert loaded.find("old") == keys["old"].public_key()
    assert loaded.find("new") == keys["new"].public_key()
    assert loaded.find("other") is None
    assert loaded.find(None) is None


def test_a_key_in_a_file_of_its_own_answers_to_every_id(tmp_path: Path) -> None:
    keys = load_keys(secret_issuer(tmp_path))
    assert keys.find("any") == keys.find(None) is not None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "Expecting value"),
        ("[]", "not a JSON object"),
        ('{"keys": []}', "no key for ES256"),
        ('{"keys": [' + "[" * 100000, "recursion"),
    ],
)
def test_a_file_without_a_usable_key_is_refused(tmp_path: Path, content: str, why: str) -> None:
    with pytest.raises(PenstockError, match=f'the jwksFile of issuer "company".*{why}'):
        load_keys(jwks_issuer(tmp_path, content))
