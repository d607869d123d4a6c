from pathlib import Path

import pytest
from pydantic import ValidationError

from policies.issuers import Issuer, KeyFetching
from tests.policies.issuer_keys import private_key, public_issuer, public_pem, secret_issuer


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


REMOTE = {"name": "idp", "issuer": "https://login.example", "algorithm": "RS256"}


@pytest.mark.parametrize(
    "source",
    [
        {"jwksUrl": "https://login.example/keys"},
        {"jwksUrl": "http://127.0.0.1:8080/keys", "development": True},
        {"jwksUrl": "http://[::1]/keys", "development": True},
        {"discovery": "oidc"},
        {"discovery": "oauth2", "fetch": {"refresh": "1m", "keep": "1h"}},
        {"discovery": "oidc", "issuer": "http://localhost:8080/realm", "development": True},
    ],
    ids=str,
)
def test_keys_come_from_one_place(source: dict[str, object]) -> None:
    assert Issuer.model_validate(REMOTE | source).fetches_keys


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "takes one of publicKeyFile, jwksFile, jwksUrl, discovery"),
        ({"jwksUrl": "https://a/k", "discovery": "oidc"}, "takes one of"),
        ({"jwksUrl": "https://a/k", "secretFile": Path("s")}, "and no secretFile"),
        ({"jwksUrl": "http://login.example/keys"}, "jwksUrl begins with https://"),
        ({"jwksUrl": "http://127.0.0.1/keys"}, "jwksUrl begins with https://"),
        ({"jwksUrl": "http://login.example/k", "development": True}, "begins with https://"),
        ({"jwksUrl": "http://127.0.0.1.evil.example/", "development": True}, "begins with https"),
        ({"jwksUrl": "ftp://login.example/keys"}, "begins with https://"),
        ({"jwksUrl": "https://ann:secret@login.example/keys"}, "has a user or a fragment"),
        ({"jwksUrl": "https://login.example/keys#a"}, "has a user or a fragment"),
        ({"jwksUrl": "https:///keys"}, "is not a URL"),
        ({"jwksUrl": "https://a:99999/keys"}, "is not a URL"),
        ({"jwksUrl": "https://a b/keys"}, "is not a URL"),
        ({"discovery": "oidc", "issuer": "login.example"}, "issuer, by which keys are discovered"),
        ({"discovery": "oidc", "issuer": "http://login.example"}, "begins with https://"),
        ({"discovery": "oidc", "issuer": "https://login.example/?a=b"}, "has a query"),
        ({"discovery": "saml"}, "Input should be"),
        ({"discovery": "oidc", "fetch": {"refresh": "29s"}}, "refresh is at least 30s"),
        ({"discovery": "oidc", "fetch": {"refresh": "1h", "keep": "1h"}}, "at least twice refresh"),
    ],
    ids=str,
)
def test_keys_come_only_from_where_they_can_be_trusted(
    changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Issuer.model_validate(REMOTE | changes)


def test_last_good_keys_count_for_a_day_unless_told_otherwise() -> None:
    assert (KeyFetching().refresh, KeyFetching().keep) == (300.0, 86400.0)
