"""Which keys of a published set count for an issuer."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.jwks import MAX_KEYS, KeySet, parse_key_set
from policies.refusal import Rejected
from tests.policies.issuer_keys import jwk, private_key, segment

ALGORITHMS = ["RS256", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA"]
ES = private_key("ES256")
OWN = jwk(ES, "ES256", "own")


def parsed(*keys: object, algorithm: str = "ES256") -> KeySet:
    return parse_key_set(json.dumps({"keys": keys}).encode(), algorithm)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_family_is_read(algorithm: str) -> None:
    key = private_key(algorithm)
    found = parsed(jwk(key, algorithm, "a"), algorithm=algorithm)
    assert found.find("a") == key.public_key()
    assert found.holds(key.public_key())
    assert found.find("b") is None


def test_ed448_is_read() -> None:
    key = ed448.Ed448PrivateKey.generate()
    assert parsed(jwk(key, "EdDSA", "a"), algorithm="EdDSA").find("a") == key.public_key()


FOREIGN: dict[str, Any] = {
    "another family": jwk(private_key("RS256"), "RS256", "x"),
    "another family under our algorithm": {
        **jwk(private_key("RS256"), "RS256", "x"),
        "alg": "ES256",
    },
    "another curve": jwk(private_key("ES384"), "ES384", "x", alg=None),
    "a curve of the same size": {
        **jwk(ec.generate_private_key(ec.SECP256K1()), "ES256K", "x"),
        "alg": "ES256",
    },
    "another algorithm": jwk(private_key("ES256"), "ES256", "x", alg="ES384"),
    "for encryption": jwk(private_key("ES256"), "ES256", "x", use="enc"),
    "for signing only": jwk(private_key("ES256"), "ES256", "x", key_ops=["sign"]),
    "odd operations": jwk(private_key("ES256"), "ES256", "x", key_ops="verify"),
    "an odd id": jwk(private_key("ES256"), "ES256", "x") | {"kid": 7},
    "a private key": jwk(private_key("ES256"), "ES256", "x", d="AAAA"),
    "a secret": {"kty": "oct", "k": segment(b"k" * 32), "kid": "x", "alg": "ES256"},
    "a point that isn't on the curve": jwk(
        private_key("ES256"), "ES256", "x", x=segment(b"x" * 32)
    ),
    "a missing member": jwk(private_key("ES256"), "ES256", "x", y=None),
    "members of other types": jwk(private_key("ES256"), "ES256", "x", x=7),
    "no object": "x",
    "nothing": None,
}


@pytest.mark.parametrize("other", FOREIGN)
def test_keys_for_something_else_are_ignored(other: str) -> None:
    assert parsed(FOREIGN[other], OWN).by_id.keys() == {"own"}
    with pytest.raises(Rejected, match="no key for ES256"):
        parsed(FOREIGN[other])


@pytest.mark.parametrize("bits", [1024, 8200])
def test_rsa_keys_of_an_odd_size_are_ignored(bits: int) -> None:
    # Not generated, which takes minutes for large ones: a modulus is any odd number here.
    numbers = rsa.RSAPublicNumbers(65537, (1 << bits) - 1)
    size = bits // 8
    member = {
        "kty": "RSA",
        "kid": "x",
        "n": segment(numbers.n.to_bytes(size, "big")),
        "e": segment(b"\x01\x00\x01"),
    }
    with pytest.raises(Rejected, match="no key for RS256"):
        parsed(member, algorithm="RS256")


def test_what_a_key_does_not_say_of_itself_counts_as_agreement() -> None:
    assert parsed(jwk(ES, "ES256", "a", use=None, alg=None)).find("a") == ES.public_key()


def test_one_key_without_an_id_serves_tokens_without_one() -> None:
    found = parsed(jwk(ES, "ES256"))
    assert found.find(None) == ES.public_key()
    assert found.find("a") is None


def test_a_token_without_an_id_must_not_choose_among_keys() -> None:
    assert parsed(OWN, jwk(private_key("ES256"), "ES256", "b")).find(None) is None
    assert parsed(OWN).find(None) == ES.public_key()


def test_a_key_may_be_there_twice_but_an_id_may_not() -> None:
    assert len(parsed(OWN, OWN).by_id) == 1
    with pytest.raises(Rejected, match="two keys have one id"):
        parsed(OWN, jwk(private_key("ES256"), "ES256", "own"))


def test_a_set_has_a_bounded_number_of_keys() -> None:
    with pytest.raises(Rejected, match="more than 100 keys"):
        parsed(*[OWN] * (MAX_KEYS + 1))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"[]", "not a JSON object"),
        (b"{}", "no list of keys"),
        (b'{"keys": {}}', "no list of keys"),
        (b'{"keys": []}', "no key for ES256"),
        (b'{"keys": [], "keys": []}', "occurs twice"),
        (b'{"keys": [{"kid": NaN}]}', "is not JSON"),
    ],
)
def test_what_is_no_key_set_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(Rejected, match=why):
        parse_key_set(text, "ES256")


@settings(deadline=None, max_examples=100)
@given(
    st.dictionaries(
        st.sampled_from(["kty", "crv", "x", "y", "use", "alg", "kid", "key_ops"]),
        st.one_of(
            st.none(),
            st.integers(),
            st.text(max_size=5),
            st.just("EC"),
            st.just("P-256"),
            st.lists(st.text(max_size=3), max_size=2),
        ),
    )
)
def test_no_odd_key_harms_the_others(member: dict[str, object]) -> None:
    assert parsed({"kty": "EC", "crv": "P-256", **member}, OWN).find("own") == ES.public_key()
