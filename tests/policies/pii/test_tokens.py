import pytest

from policies.pii.tokens import Tokens
from tests.policies.pii.finding import KEY

TOKENS = Tokens(KEY)


def test_the_same_value_has_the_same_token_in_every_process() -> None:
    assert TOKENS.placeholder("acme", "EMAIL", "a@b.c") == Tokens(KEY).placeholder(
        "acme", "EMAIL", "a@b.c"
    )


def test_tenants_entities_values_and_keys_have_their_own() -> None:
    seen = {
        TOKENS.digest("acme", "EMAIL", "a@b.c"),
        TOKENS.digest("acm", "eEMAIL", "a@b.c"),
        TOKENS.digest("other", "EMAIL", "a@b.c"),
        TOKENS.digest("acme", "PHONE", "a@b.c"),
        TOKENS.digest("acme", "EMAIL", "a@b.d"),
        Tokens(KEY + b"x").digest("acme", "EMAIL", "a@b.c"),
    }
    assert len(seen) == 6


def test_short_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="has 15 bytes, 16 are needed"):
        Tokens(b"x" * 15)


def test_no_key_is_shown() -> None:
    assert "key" not in repr(TOKENS)
