import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos.principal import Principal
from protos.values import Headers
from routing.decisions import Wanted, attribute, holds
from routing.rules.glob import glob
from routing.rules.rule import Condition
from tests.routing.rules.written_routes import principal, route, table


def wanted(*rules: dict[str, object]) -> Wanted:
    written = [{"model": f"m{i}", **rule} for i, rule in enumerate(rules)]
    return Wanted(table(route(match=written)).rules)


def header(name: str, value: str) -> Condition:
    return Condition("header", name, name.encode(), glob(value))


def claim(name: str, value: str) -> Condition:
    return Condition("claim", name, name.encode(), glob(value))


def test_without_rules_that_name_any_nothing_of_headers_and_claims_is_kept() -> None:
    found = wanted({})
    assert found.of(principal(role="boss"), [(b"authorization", b"secret")]) == {}


def test_only_what_a_rule_names_is_kept_and_only_whether_it_fits() -> None:
    found = wanted({"headers": {"X-Beta": "yes"}}, {"headers": {"x-beta": "be*"}})
    headers = [(b"x-beta", b"secret"), (b"cookie", b"secret")]
    assert found.of(principal(), headers) == {
        "header x-beta": {"*": True, "yes": False, "be*": False}
    }
    assert found.of(principal(), [(b"x-beta", b"yes")])["header x-beta"]["yes"]
    assert found.of(principal(), ()) == {"header x-beta": {"*": False, "yes": False, "be*": False}}


def test_a_claim_fits_with_any_member_of_a_list() -> None:
    found = wanted({"claims": {"role": "a"}}, {"claims": {"role": "b"}})
    assert found.of(principal(role=["b", "c"]), ()) == {
        "claim role": {"*": True, "a": False, "b": True}
    }


KNOWN = {"*": True, "yes": True, "be*": False}
OTHER = {"*": True, "yes": False, "be*": False}
ABSENT = {"*": False, "yes": False}


@pytest.mark.parametrize(
    ("fits", "asked", "expected"),
    [
        (KNOWN, "yes", True),
        (KNOWN, "be*", False),
        (KNOWN, "no", False),  # the value is known, and it is another
        (KNOWN, "y*", True),
        (KNOWN, "*", True),
        (OTHER, "yes", False),
        (OTHER, "no", None),  # some other value, and nobody wrote down which
        (OTHER, "*", True),
        (ABSENT, "no", False),
        (ABSENT, "*", False),
    ],
)
def test_what_a_record_tells_of_a_header(
    fits: dict[str, bool], asked: str, expected: bool | None
) -> None:
    assert holds(header("x", asked), {"header x": fits}) is expected


def test_a_claim_may_have_other_members_than_the_one_that_is_known() -> None:
    assert holds(claim("role", "no"), {"claim role": KNOWN}) is None
    assert holds(claim("role", "y*"), {"claim role": KNOWN}) is True


def test_a_name_that_no_rule_had_then_is_not_known() -> None:
    assert holds(header("x", "yes"), {}) is None
    assert holds(header("x", "yes"), {"claim x": KNOWN}) is None


VALUES = st.sampled_from(["a", "ab", "b", "a*", "*b"])


@settings(deadline=None, max_examples=100)
@given(
    before=st.lists(VALUES, max_size=3),
    asked=VALUES,
    value=st.one_of(st.none(), st.sampled_from(["a", "ab", "b", "abb", "c"])),
    more=st.one_of(st.none(), st.sampled_from(["a", "b"])),
)
def test_whatever_a_record_tells_is_true(
    before: list[str], asked: str, value: str | None, more: str | None
) -> None:
    found = wanted(
        {},
        *({"headers": {"x": each}} for each in before),
        *({"claims": {"x": each}} for each in before),
    )
    headers: Headers = () if value is None else [(b"x", value.encode())]
    members = [each for each in (value, more) if each is not None]
    who: Principal = principal(x=members) if members else principal()
    recorded = found.of(who, headers)
    for condition in (header("x", asked), claim("x", asked)):
        told = holds(condition, recorded)
        assert told in (None, condition.holds(who, headers))
        if asked in before or (before and asked == "*"):
            assert told is not None
        assert attribute(condition) == f"{condition.kind} x"
