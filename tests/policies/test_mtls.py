"""Whom a connection's certificate names."""

import pytest
from pydantic import ValidationError

from policies.mtls import CertificateIdentity, Certificates
from policies.refusal import Rejected
from protos.principal import Principal


def identity(san: str, /, **changes: object) -> CertificateIdentity:
    settings: dict[str, object] = {"san": san, "tenant": "risk", "scopes": ("infer:fraud",)}
    return CertificateIdentity.model_validate(settings | changes)


def tenant(names: tuple[str, ...], *identities: CertificateIdentity) -> str | None:
    try:
        return Certificates(identities).principal(names).tenant
    except Rejected:
        return None


def test_a_name_has_a_tenant_and_scopes() -> None:
    found = Certificates([identity("URI:spiffe://prod/fraud")])
    assert found.principal(("DNS:a.example", "URI:spiffe://prod/fraud")) == Principal(
        "URI:spiffe://prod/fraud", "risk", frozenset({"infer:fraud"}), "certificate"
    )


@pytest.mark.parametrize(
    ("san", "name", "fits"),
    [
        ("DNS:a.example", "DNS:a.example", True),
        ("DNS:a.example", "DNS:A.Example", True),
        ("DNS:a.example", "DNS:b.a.example", False),
        ("DNS:a.example", "DNS:a.example.evil", False),
        ("DNS:a.example", "DNS:aXexample", False),
        ("DNS:a.example", "URI:a.example", False),
        ("DNS:a.example", "dns:a.example", False),
        ("DNS:*.example", "DNS:a.example", True),
        ("DNS:*.example", "DNS:b.a.example", False),
        ("DNS:*.example", "DNS:.example", False),
        ("URI:spiffe://prod/ns/*/sa/web", "URI:spiffe://prod/ns/fraud/sa/web", True),
        ("URI:spiffe://prod/ns/*/sa/web", "URI:spiffe://prod/ns/a/b/sa/web", False),
        ("URI:spiffe://prod/ns/*/sa/web", "URI:spiffe://prod/ns//sa/web", False),
        ("URI:spiffe://prod/ns/*", "URI:spiffe://prod/ns/a?b", False),
        ("URI:spiffe://prod/fraud", "URI:spiffe://prod/Fraud", False),
        ("email:*@a.example", "email:ann@a.example", True),
        ("email:*@a.example", "email:ann@b@a.example", False),
        ("email:*@a.example", "email:ann@a.example\n", False),
        ("DNS:*.example", "DNS:a\x00.example", False),
        ("URI:x:*", "URI:x:a\ud800", False),
    ],
)
def test_a_star_stands_for_one_part(san: str, name: str, fits: bool) -> None:
    assert (tenant((name,), identity(san)) is not None) == fits


def test_hosts_have_one_subject_however_they_are_written() -> None:
    found = Certificates([identity("DNS:a.example")])
    assert found.principal(("DNS:A.EXAMPLE",)).subject == "DNS:a.example"


def test_the_first_that_fits_counts() -> None:
    special, general = identity("DNS:a.example", tenant="a"), identity("DNS:*.example", tenant="b")
    assert tenant(("DNS:a.example",), special, general) == "a"
    assert tenant(("DNS:c.example", "DNS:a.example"), general, special) == "b"
    assert tenant(("DNS:c.example", "DNS:a.example"), special, general) == "a"


def test_nobody_is_whoever_has_no_name_or_too_many() -> None:
    anyone = identity("DNS:*.example")
    assert tenant((), anyone) is None
    assert tenant(("IP Address:127.0.0.1",), anyone) is None
    assert tenant(("DNS:a.example",) * 65, anyone) is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"san": "a.example"}, "begins with one of URI:, DNS:, email:"),
        ({"san": "IP:10.0.0.1"}, "begins with one of"),
        ({"san": "DNS:"}, "begins with one of"),
        ({"san": "DNS:*"}, "names nobody in particular"),
        ({"san": "DNS:*.*"}, "names nobody in particular"),
        ({"san": "DNS:a\n"}, "printable"),
        ({"tenant": ""}, "must be 1 to 256 printable characters"),
        ({"scopes": ("root",)}, '"root" is none of'),
        ({"scopes": ("infer:*a*",)}, "more than one"),
        ({"cn": "a"}, "Extra inputs"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_are_refused(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        identity("DNS:a.example", **changes)
