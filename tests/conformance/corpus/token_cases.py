"""Tokens that prove nothing (RFC 8725), each with a right signature where one can be had."""

import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import jwt

from tests.conformance.corpus.issuers import FILED, PUBLISHED, Issuers
from tests.policies.issuer_keys import public_pem, segment

OWN = "https://issuer.test"
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def claims(issuer: str = OWN, **changes: Any) -> dict[str, Any]:
    """Claims that are valid now; a change to None takes the claim out."""
    now = int(time.time())
    valid = {
        "iss": issuer,
        "aud": "penstock",
        "sub": "ann",
        "tenant": "acme",
        "scope": "infer:* admin backend:join",
        "iat": now,
        "exp": now + 600,
    }
    return {name: value for name, value in (valid | changes).items() if value is not None}


def signed(body: object, secret: bytes, **header: Any) -> str:
    """A token with a right HMAC over whatever is put into it, which no library would make."""
    said = segment({"alg": "HS256", "typ": "JWT", **header}) + "." + segment(body)
    return f"{said}.{segment(hmac.digest(secret, said.encode(), 'sha256'))}"


def good_tokens(secret: bytes, issuers: Issuers) -> dict[str, str]:
    return {
        "with a secret": signed(claims(), secret),
        "with a key in a file": jwt.encode(claims(FILED), issuers.filed, "RS256"),
        "with a published key": jwt.encode(
            claims(PUBLISHED), issuers.published, "ES256", {"kid": "one"}
        ),
    }


def bad_tokens(secret: bytes, issuers: Issuers) -> dict[str, str]:
    """By what is wrong with them."""
    return {
        **dict(_algorithms(secret, issuers)),
        **{f"header {name}": signed(claims(), secret, **h) for name, h in _headers(issuers)},
        **{f"kid {kid!r:.40}": signed(claims(), secret, kid=kid) for kid in _NO_NAMES},
        **{
            f"published kid {kid!r:.40}": _published(issuers, kid)
            for kid in _KIDS
            if isinstance(kid, str)
        },
        **{
            f"{name} {value!r:.40}": signed(claims(**{name: value}), secret)
            for name, value in _claims()
        },
        **dict(_forms(secret)),
    }


def _published(issuers: Issuers, kid: str) -> str:
    return jwt.encode(claims(PUBLISHED), issuers.published, "ES256", {"kid": kid})


def _algorithms(secret: bytes, issuers: Issuers) -> Iterator[tuple[str, str]]:
    for none in ("none", "None", "NONE", "nOnE", "", None, 0, ["HS256"], {"a": 1}):
        head = segment({"alg": none, "typ": "JWT"})
        yield f"alg {none!r}", f"{head}.{segment(claims())}."
        yield f"alg {none!r}, signed", signed(claims(), secret, alg=none)
    pem = public_pem(issuers.filed)
    yield "HMAC with the public key", signed(claims(FILED), pem)
    yield "the same said to be RS256", signed(claims(FILED), pem, alg="RS256")
    yield "another's key", jwt.encode(claims(FILED), issuers.published, "ES256", {"kid": "one"})
    yield "another algorithm of the family", jwt.encode(claims(FILED), issuers.filed, "PS256")
    yield "another issuer's name", jwt.encode(claims(OWN), issuers.filed, "RS256")
    yield "no signature", signed(claims(), secret).rpartition(".")[0] + "."
    yield "an empty secret", signed(claims(), b"")
    made = jwt.encode(claims(PUBLISHED), issuers.published, "ES256", {"kid": "one"})
    head, body, _ = made.split(".")
    for name, signature in (("zeros", bytes(64)), ("a sequence", b"\x30\x06\x02\x01\x01" * 13)):
        yield f"a signature of {name}", f"{head}.{body}.{segment(signature)}"


def _headers(issuers: Issuers) -> Iterator[tuple[str, dict[str, Any]]]:
    for place in ("jku", "x5u"):
        yield place, {place: f"{issuers.url}/stolen"}
        yield f"{place} of a file", {place: "file:///keys.json"}
    yield "jwk", {"jwk": {"kty": "oct", "k": "AAAA"}}
    yield "x5c", {"x5c": ["AAAA"]}
    yield "crit", {"crit": ["exp"]}
    yield "crit of nothing", {"crit": []}
    yield "crit of b64", {"crit": ["b64"], "b64": True}
    yield "b64", {"b64": False}
    yield "zip", {"zip": "DEF"}
    yield "enc", {"enc": "A256GCM"}
    yield "cty", {"cty": "JWT"}
    for typ in ("logout+jwt", "dpop+jwt", "JWE", "", 7, None, ["JWT"]):
        yield f"typ {typ!r}", {"typ": typ}


_NO_NAMES = ("", " ", "/dev/null\0", "k" * 5000, "\ud800", "\u202eeno", 7, None, ["one"], True)
# Of keys in a file there is one, whatever it is called; of published ones none is called this.
_KIDS = (*_NO_NAMES, "../../../../etc/passwd", "' OR 1=1 --", "One")


def _claims() -> Iterator[tuple[str, Any]]:
    now = int(time.time())
    exp: Any
    value: Any
    for exp in (None, str(now + 600), "", 10**30, 1e30, float("inf"), float("nan"), -1, 0):
        yield "exp", exp
    for exp in (True, [now + 600], {}, now - 100, now + 25 * 3600, "9" * 4300):
        yield "exp", exp
    for early in ("nbf", "iat"):
        for value in (now + 600, str(now), 10**30, float("nan"), True, [], -1):
            yield early, value
    for issuer in (None, "", OWN + "/", OWN + ".", OWN.upper(), f" {OWN}", OWN[:-1], [OWN], 7):
        yield "iss", issuer
    yield "iss", OWN.replace("i", "\u0456")  # a Cyrillic letter that looks the same
    yield "iss", OWN + "\u200b"
    yield "iss", "\ud800"
    for audience in (None, "", ["penstock"], ["penstock", "x"], "Penstock", "penstock ", 7, {}):
        yield "aud", audience
    for name in ("sub", "tenant"):
        for value in (None, "", " ", "\t", "a\0b", "a\nb", "\ud800", "a" * 257, 7, ["ann"], {}):
            yield name, value
    for scope in (7, True, {"admin": True}, ["admin", 7], [["admin"]]):
        yield "scope", scope
    for jti in ("", 7, "j" * 300, "\n"):
        yield "jti", jti


def _forms(secret: bytes) -> Iterator[tuple[str, str]]:
    good = signed(claims(), secret)
    head, body, signature = good.split(".")
    text = json.dumps(claims())
    for name in ("sub", "aud", "exp", "scope"):
        twice = text[:-1] + f', "{name}": {json.dumps(claims()[name])}}}'
        yield f"{name} twice", signed(twice.encode(), secret)
    yield "alg twice", _over(b'{"alg": "none", "alg": "HS256"}', body, secret)
    yield "over 8 KiB", signed(claims(padding="x" * 8192), secret)
    yield "padded", f"{head}={'=' * (-len(head) % 4)}.{body}.{signature}"
    yield "padded in its signature", good + "="
    yield "of the other alphabet", good[:-4] + "+/+/"
    yield "with a letter too many", good + "A"
    yield "with bits that count for nothing", good[:-1] + _next(good[-1])
    yield "with a line break", f"{head}.{body[:8]}%0a{body[8:]}.{signature}"
    yield "with a space", f"{head}. {body}.{signature}"
    yield "with a tab", f"{head}.\t{body}.{signature}"
    yield "in quotes", f'"{good}"'
    yield "of four segments", good + ".x"
    yield (
        "of five segments, as encrypted ones",
        f"{segment({'alg': 'dir', 'enc': 'A128GCM'})}..a.b.c",
    )
    yield "of one segment", head
    yield "of dots", ".."
    yield "within another", signed(good.encode(), secret, cty="JWT")
    yield "in the JSON form", json.dumps({"payload": body, "protected": head})
    yield "of a list", signed([claims()], secret)
    yield "of null", signed(None, secret)
    yield "of UTF-16", signed(text.encode("utf-16"), secret)
    yield "with a mark before", signed(b"\xef\xbb\xbf" + text.encode(), secret)
    yield "1,500 deep", signed(b'{"a": ' + b"[" * 1500 + b"]" * 1500 + b"}", secret)
    yield "of 4,300 digits", signed(b'{"exp": ' + b"9" * 4300 + b"}", secret)
    yield "of NaN", signed(text[:-1].encode() + b', "x": NaN}', secret)


def _over(header: bytes, body: str, secret: bytes) -> str:
    said = f"{segment(header)}.{body}"
    return f"{said}.{segment(hmac.digest(secret, said.encode(), 'sha256'))}"


def _next(letter: str) -> str:
    """The letter of base64 with another last bit; the last two bits of a SHA-256 say nothing."""
    return _ALPHABET[_ALPHABET.index(letter) ^ 1]
