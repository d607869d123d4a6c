import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.authenticate import Authenticator
from policies.bearer_tokens import MAX_TOKEN_BYTES
from protos.errors import Kind, PenstockError
from protos.principal import Principal
from tests.policies.issuer_keys import (
    NOW,
    claims,
    private_key,
    public_issuer,
    public_pem,
    secret_issuer,
    segment,
    token_of,
)


def authenticator(folder: Path, **changes: object) -> Authenticator:
    return Authenticator([secret_issuer(folder, **changes)], lambda: NOW)


def refused(verify: Authenticator, token: bytes, now: float = NOW) -> str:
    """The reason for operators; the client's sentence is always the same."""
    with pytest.raises(PenstockError) as caught:
        verify.verify(token, now)
    assert caught.value.kind is Kind.UNAUTHENTICATED
    assert caught.value.message == "a valid bearer token is required"
    return str(caught.value.__cause__)


def test_a_valid_token_names_its_principal(tmp_path: Path) -> None:
    principal = authenticator(tmp_path)(f"Bearer {token_of(claims()).decode()}")
    assert principal == Principal("ann", "acme", frozenset({"infer:*", "admin"}), "company")


ALGORITHMS = ["RS256", "PS384", "ES256", "ES512", "EdDSA"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_family_verifies_with_a_static_public_key(tmp_path: Path, algorithm: str) -> None:
    key = private_key(algorithm)
    verify = Authenticator([public_issuer(tmp_path, algorithm, public_pem(key))], lambda: NOW)
    token = jwt.encode(claims(), key, algorithm).encode()
    assert verify.verify(token, NOW).subject == "ann"
    forged = jwt.encode(claims(), private_key(algorithm), algorithm).encode()
    assert "Signature verification failed" in refused(verify, forged)


def test_the_public_key_is_no_hmac_secret(tmp_path: Path) -> None:
    pem = public_pem(private_key("RS256"))
    verify = Authenticator([public_issuer(tmp_path, "RS256", pem)], lambda: NOW)
    assert "the algorithm is not RS256" in refused(verify, token_of(claims(), secret=pem))


@pytest.mark.parametrize(
    "header", [{"alg": "none"}, {"alg": "NONE"}, {"alg": ""}, {}, {"alg": None}]
)
def test_an_unsigned_token_is_refused(tmp_path: Path, header: dict[str, Any]) -> None:
    unsigned = f"{segment(header)}.{segment(claims())}.".encode()
    assert "the algorithm is not HS256" in refused(authenticator(tmp_path), unsigned)
    assert "the algorithm is not HS256" in refused(
        authenticator(tmp_path), token_of(claims(), header)
    )


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": True},
        {"b64": False},
        {"jku": "https://evil.example/keys"},
        {"jwk": {"kty": "oct", "k": "AAAA"}},
        {"x5u": "https://evil.example/chain"},
        {"x5c": ["AAAA"]},
        {"zip": "DEF"},
        {"cty": "JWT"},
        {"alg": "HS512"},
        {"alg": ["HS256"]},
        {"typ": "logout+jwt"},
        {"typ": 7},
        {"kid": 7},
        {"kid": ""},
        {"kid": "../../etc/passwd\x00"},
        {"kid": "k" * 300},
    ],
    ids=str,
)
def test_headers_that_change_the_verification_are_refused(
    tmp_path: Path, header: dict[str, Any]
) -> None:
    refused(authenticator(tmp_path), token_of(claims(), {"alg": "HS256", **header}))


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "application/at+JWT"])
def test_the_usual_types_are_accepted(tmp_path: Path, typ: str) -> None:
    token = token_of(claims(), {"alg": "HS256", "typ": typ, "kid": "2026-01"})
    assert authenticator(tmp_path).verify(token, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": None},
        {"exp": NOW - 31},
        {"exp": str(int(NOW + 600))},
        {"exp": 10**30},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": -1},
        {"exp": True},
        {"exp": [NOW + 600]},
        {"nbf": NOW + 31},
        {"nbf": "0"},
        {"iat": NOW + 31},
        {"iat": {}},
        {"exp": NOW + 25 * 3600},
        {"exp": NOW + 600, "iat": NOW - 24 * 3600},
        {"iss": None},
        {"iss": "https://login.example/"},
        {"iss": "https://login.example.evil"},
        {"iss": "HTTPS://login.example"},
        {"iss": ["https://login.example"]},
        {"aud": None},
        {"aud": ["penstock"]},
        {"aud": ["penstock", "other"]},
        {"aud": "Penstock"},
        {"sub": None},
        {"sub": ""},
        {"sub": " "},
        {"sub": 7},
        {"sub": "ann\n"},
        {"sub": "a" * 257},
        {"sub": "\ud800"},
        {"tenant": None},
        {"tenant": ""},
        {"tenant": ["acme"]},
        {"tenant": "a\x00b"},
        {"tenant": "\udfff"},
        {"jti": 7},
        {"jti": ""},
        {"jti": "a\n"},
        {"jti": "j" * 257},
        {"scope": 7},
        {"scope": ["admin", 7]},
        {"scope": {"admin": True}},
    ],
    ids=str,
)
def test_claims_that_are_wrong_are_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    refused(authenticator(tmp_path), token_of(claims(**changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW - 29},
        {"nbf": NOW + 29},
        {"iat": NOW + 29},
        {"iat": None},
        {"exp": NOW + 600.5},
        {"nbf": NOW - 50, "iat": NOW - 50},
    ],
    ids=str,
)
def test_clocks_may_differ_by_the_leeway(tmp_path: Path, changes: dict[str, object]) -> None:
    assert authenticator(tmp_path).verify(token_of(claims(**changes)), NOW)


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("infer:a infer:b", {"infer:a", "infer:b"}),
        (["infer:a", "openid"], {"infer:a", "openid"}),
        ("", set()),
        (None, set()),
    ],
)
def test_scopes_are_a_text_or_a_list(tmp_path: Path, scope: object, expected: set[str]) -> None:
    principal = authenticator(tmp_path).verify(token_of(claims(scope=scope)), NOW)
    assert principal.scopes == expected


def test_claims_are_called_what_the_issuer_calls_them(tmp_path: Path) -> None:
    verify = authenticator(tmp_path, tenantClaim="org", scopeClaim="roles", audience="models")
    token = token_of(claims(org="globex", roles=["admin"], aud="models"))
    assert verify.verify(token, NOW) == Principal("ann", "globex", frozenset({"admin"}), "company")


GOOD = token_of(claims())
# The last letter of a SHA-256 has two bits that say nothing.
LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
SAME_BYTES = GOOD[:-1] + bytes([LETTERS[LETTERS.index(GOOD[-1]) ^ 1]])


@pytest.mark.parametrize(
    "token",
    [
        SAME_BYTES,
        GOOD + b"=",
        GOOD + b"==",
        GOOD.replace(b".", b"=.", 1),
        GOOD.replace(b".", b"\n.", 1),
        GOOD.replace(b".", b" .", 1),
        GOOD[:4] + b"%" + GOOD[4:],
    ],
    ids=lambda token: repr(token[-6:]),
)
def test_a_token_has_one_spelling(tmp_path: Path, token: bytes) -> None:
    refused(authenticator(tmp_path), token)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_claims_are_in_utf_8(tmp_path: Path, encoding: str) -> None:
    refused(authenticator(tmp_path), token_of(json.dumps(claims()).encode(encoding)))


def duplicated(name: str) -> bytes:
    text = json.dumps(claims())
    return (text[:-1] + f', "{name}": {json.dumps(claims()[name])}' + "}").encode()


@pytest.mark.parametrize("name", ["sub", "aud", "exp"])
def test_duplicate_claims_are_refused(tmp_path: Path, name: str) -> None:
    assert "occurs twice" in refused(authenticator(tmp_path), token_of(duplicated(name)))


def test_duplicate_headers_are_refused(tmp_path: Path) -> None:
    token = token_of(claims(), b'{"alg": "none", "alg": "HS256"}')
    assert "occurs twice" in refused(authenticator(tmp_path), token)


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b".",
        b"..",
        b"...",
        b"a.b",
        b"a.b.c",
        b"!!!!.????.####",
        b"\xff.\xfe.\xfd",
        token_of(b"[]"),
        token_of(b"null"),
        token_of(b"\xff"),
        token_of(b"{"),
        token_of(b'{"iss": ' + b"[" * 2000 + b"]" * 2000 + b"}"),
        token_of(b'{"exp": ' + b"9" * 5000 + b"}"),
        token_of(claims(), b"[]"),
        token_of(claims()) + b".extra",
        token_of(claims())[:-2],
        token_of(claims()) + b"A",
        token_of(claims(), secret=b"another secret of 32 bytes length"),
    ],
    ids=lambda token: repr(token[:24]),
)
def test_malformed_and_forged_tokens_are_refused(tmp_path: Path, token: bytes) -> None:
    refused(authenticator(tmp_path), token)


def test_an_oversize_token_is_refused_unread(tmp_path: Path) -> None:
    token = token_of(claims(padding="x" * MAX_TOKEN_BYTES))
    assert "longer than 8192 bytes" in refused(authenticator(tmp_path), token)


def test_a_remembered_token_still_expires(tmp_path: Path) -> None:
    verify = authenticator(tmp_path)
    token = token_of(claims())
    assert verify.verify(token, NOW) is verify.verify(token, NOW + 599)
    assert verify.verify(token, NOW + 620)  # within the leeway, verified anew
    assert "expired" in refused(verify, token, NOW + 631)


def test_no_more_tokens_are_remembered_than_allowed(tmp_path: Path) -> None:
    verify = Authenticator([secret_issuer(tmp_path)], lambda: NOW, remembered=2)
    first, second, third = (token_of(claims(sub=name)) for name in ("a", "b", "c"))
    kept = verify.verify(first, NOW)
    forgotten = verify.verify(second, NOW)
    assert verify.verify(first, NOW) is kept
    verify.verify(third, NOW)  # pushes out the one that was used longest ago
    assert verify.verify(first, NOW) is kept
    assert verify.verify(second, NOW) is not forgotten


def test_a_failure_is_never_remembered(tmp_path: Path) -> None:
    verify = authenticator(tmp_path)
    early = token_of(claims(nbf=NOW + 100))
    refused(verify, early)
    assert verify.verify(early, NOW + 80)


def test_issuers_are_told_apart_by_their_exact_names(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "secret").write_bytes(b"the other issuer's secret, 32 bytes or more")
    verify = Authenticator(
        [secret_issuer(tmp_path), secret_issuer(other, name="other", issuer="https://other")],
        lambda: NOW,
    )
    # The first issuer's key signs only in the first issuer's name.
    assert "Signature" in refused(verify, token_of(claims(iss="https://other")))
    assert verify.verify(token_of(claims()), NOW).issuer == "company"


def test_two_issuers_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PenstockError, match="two issuers are called"):
        Authenticator([secret_issuer(tmp_path), secret_issuer(tmp_path)], lambda: NOW)


@settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_no_change_of_a_byte_goes_unnoticed(tmp_path: Path, data: st.DataObject) -> None:
    token = bytearray(token_of(claims()))
    place = data.draw(st.integers(0, len(token) - 1))
    token[place] ^= data.draw(st.integers(1, 255))
    refused(authenticator(tmp_path), bytes(token))


@settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=200))
def test_no_payload_raises_anything_but_unauthenticated(tmp_path: Path, payload: bytes) -> None:
    refused(authenticator(tmp_path), token_of(payload))
