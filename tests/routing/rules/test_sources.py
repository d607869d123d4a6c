import pytest

from protos.values import Headers
from routing.rules.sources import claim_values, cookie_value, header_value, sticky_source
from tests.routing.rules.written_routes import principal, request


def sticky(key: str, headers: Headers = (), **who: object) -> str | None:
    return sticky_source(key)(request(principal(**who), headers=headers).context)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("claim", "values"),
    [
        ("gold", ["gold"]),
        (["gold", "beta"], ["gold", "beta"]),
        (True, ["true"]),
        (7, ["7"]),
        (["a", 1, None, {}], ["a", "1"]),
        (None, []),
        ({"a": 1}, []),
    ],
)
def test_a_claim_s_values_are_its_scalars(claim: object, values: list[str]) -> None:
    assert claim_values(principal(tier=claim), "tier") == values


def test_sub_is_the_subject() -> None:
    assert claim_values(principal(subject="alice"), "sub") == ["alice"]


def test_a_header_sent_twice_counts_as_its_values_joined() -> None:
    headers = [(b"x-a", b"1"), (b"x-b", b"2"), (b"x-a", b"3")]

    assert header_value(headers, b"x-a") == "1, 3"
    assert header_value(headers, b"x-c") is None


def test_of_cookies_the_first_counts_over_all_cookie_headers() -> None:
    headers = [(b"cookie", b"theme=dark;  uid=a=b"), (b"cookie", b"uid=second; sid=3")]

    assert cookie_value(headers, b"uid") == "a=b"
    assert cookie_value(headers, b"sid") == "3"
    assert cookie_value(headers, b"UID") is None
    assert cookie_value([(b"cookie", b"uid; =x;;")], b"uid") is None


def test_users_of_two_issuers_are_two_users() -> None:
    assert sticky("jwt.sub", issuer="a") != sticky("jwt.sub", issuer="b")
    assert sticky("jwt.account", issuer="a", account=1) != sticky(
        "jwt.account", issuer="b", account=1
    )
    assert sticky("tenant", issuer="a") == sticky("tenant", issuer="b") == "acme"


def test_numbers_and_words_are_told_apart_from_lists() -> None:
    assert sticky("jwt.account", account=7) == sticky("jwt.account", account="7")
    assert sticky("jwt.account", account=[7]) is None
    assert sticky("jwt.account", account="") is None
    assert sticky("jwt.account") is None
    assert sticky("jwt.sub", subject="") is None


def test_header_names_in_keys_have_no_case_and_any_bytes_are_a_value() -> None:
    assert sticky("header.X-User", headers=[(b"x-user", b"7")]) == "7"
    assert sticky("header.X-User", headers=[(b"x-user", b"\xff")]) != sticky(
        "header.X-User", headers=[(b"x-user", b"\xfe")]
    )
    assert sticky("cookie.uid", headers=[(b"cookie", b"uid=7")]) == "7"
