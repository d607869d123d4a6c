from pathlib import Path

import pytest
from pydantic import ValidationError

from policies.issuers import Issuer
from policies.key_files import load_key
from protos.errors import PenstockError
from tests.policies.issuer_keys import (
    private_key,
    private_pem,
    public_issuer,
    public_pem,
    secret_issuer,
)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"secretFile": None}, "algorithm HS256 takes secretFile and no publicKeyFile"),
        ({"publicKeyFile": Path("k")}, "algorithm HS256 takes secretFile and no publicKeyFile"),
        ({"algorithm": "RS256"}, "algorithm RS256 takes one of publicKeyFile, jwksFile, jwksUrl"),
        ({"algorithm": "none"}, "Input should be"),
        ({"leeway": "61s"}, "leeway is at most 60s"),
        ({"name": "My IdP"}, "String should match pattern"),
        ({"issuer": ""}, "at least 1 character"),
        ({"tenantClaim": "iss"}, "two claims with a meaning of their own"),
        ({"tenantClaim": "scope"}, "two claims with a meaning of their own"),
        ({"development": True, "tenantClaim": "sub"}, "two claims with a meaning of their own"),
        ({"jwksUrl": "https://x"}, "algorithm HS256 takes secretFile and no jwksUrl"),
        ({"fetch": {"refresh": "1m"}}, "fetch goes with jwksUrl or discovery"),
        ({"keysUrl": "https://x"}, "Extra inputs are not permitted"),
        ({"development": "yes"}, "valid boolean"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    tmp_path: Path, changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ValidationError, match=sentence):
        secret_issuer(tmp_path, **changes)


def test_only_a_secret_signs_development_tokens(tmp_path: Path) -> None:
    pem = public_pem(private_key("ES256"))
    with pytest.raises(ValidationError, match="signs with a secret"):
        public_issuer(tmp_path, "ES256", pem, development=True)


def test_an_issuer_has_the_documented_defaults(tmp_path: Path) -> None:
    issuer = secret_issuer(tmp_path)
    assert (issuer.audience, issuer.tenant_claim, issuer.scope_claim) == (
        "penstock",
        "tenant",
        "scope",
    )
    assert (issuer.leeway, issuer.max_lifetime, issuer.development) == (30.0, 86400.0, False)


def unusable(issuer: Issuer) -> str:
    with pytest.raises(PenstockError) as caught:
        load_key(issuer)
    return caught.value.message


def test_a_missing_file_is_named_by_its_field(tmp_path: Path) -> None:
    issuer = secret_issuer(tmp_path)
    (tmp_path / "secret").unlink()
    assert unusable(issuer) == (
        'the secretFile of issuer "company" is not usable: No such file or directory'
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
