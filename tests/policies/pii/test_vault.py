import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.pii.tokens import Tokens
from policies.pii.vault import PLACEHOLDER, Vault
from protos.errors import Kind, PenstockError
from tests.policies.pii.finding import KEY


def vault(tenant: str = "acme") -> Vault:
    return Vault(Tokens(KEY), tenant)


def test_placeholders_are_short_and_tell_the_entity() -> None:
    place = vault().hide("EMAIL", "a@b.c", "a@b.c")
    assert re.fullmatch(r"\[EMAIL_[A-Z2-7]{6}\]", place)
    assert PLACEHOLDER.fullmatch(place)


def test_a_conversation_gives_the_same_placeholders_each_turn() -> None:
    first = vault()
    places = [first.hide("EMAIL", value, value) for value in ("a@b.c", "d@e.f")]
    second = vault()
    assert [second.hide("EMAIL", value, value) for value in ("a@b.c", "d@e.f")] == places
    assert vault("other").hide("EMAIL", "a@b.c", "a@b.c") != places[0]


def test_spellings_of_one_value_are_numbered_and_restored_exactly() -> None:
    made = vault()
    one = made.hide("CREDIT_CARD", "4111 1111 1111 1111", "4111111111111111")
    two = made.hide("CREDIT_CARD", "4111-1111-1111-1111", "4111111111111111")
    assert two == f"{one[:-1]}_2]"
    assert made.hide("CREDIT_CARD", "4111 1111 1111 1111", "4111111111111111") == one
    assert made.restore(f"{two} {one}") == "4111-1111-1111-1111 4111 1111 1111 1111"


def test_spellings_beyond_counting_cost_no_more_than_others() -> None:
    """Each has its number at once: the places that are taken are not tried one after the other."""
    asked = 0

    class Counting(Tokens):
        def placeholder(self, tenant: str, entity: str, value: str) -> str:
            nonlocal asked
            asked += 1
            return super().placeholder(tenant, entity, value)

    made = Vault(Counting(KEY), "acme")
    places = [made.hide("EMAIL", f"a@b.c{' ' * number}", "a@b.c") for number in range(500)]
    assert places[-1].endswith("_500]")
    assert len(set(places)) == asked == 500
    assert made.restore(places[77]) == "a@b.c" + " " * 77


@pytest.mark.parametrize(
    ("closed", "kind"), [(False, Kind.TOO_LARGE), (True, Kind.BAD_REPLY)], ids=["asked", "said"]
)
def test_a_request_may_not_have_more_values_than_are_kept(
    closed: bool, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("policies.pii.vault.MOST", 2)
    made = vault()
    if closed:
        made.close()
    first = made.hide("EMAIL", "a@b.c", "a@b.c")
    made.hide("EMAIL", "d@e.f", "d@e.f")
    with pytest.raises(PenstockError, match="more than 2 different values") as caught:
        made.hide("EMAIL", "g@h.i", "g@h.i")
    assert caught.value.kind is kind
    assert made.hide("EMAIL", "a@b.c", "a@b.c") == first


def test_strangers_placeholders_are_left() -> None:
    made = vault()
    made.hide("EMAIL", "a@b.c", "a@b.c")
    assert made.restore("[EMAIL_AAAAAA] [1] [x") == "[EMAIL_AAAAAA] [1] [x"


def test_escaped_values_stand_in_json_strings() -> None:
    made = vault()
    place = made.hide("NAME", 'O"Neil\n', "x")
    assert made.restore(f'"{place}"', escaped=True) == '"O\\"Neil\\n"'


def test_no_value_is_shown() -> None:
    made = vault()
    made.hide("EMAIL", "a@b.c", "a@b.c")
    assert repr(made) == "<Vault of 1 values>"


@pytest.mark.parametrize("size", [1, 4096])
@given(st.lists(st.text(min_size=1, max_size=8), max_size=8))
@settings(deadline=None, max_examples=30)
def test_whatever_is_hidden_comes_back(size: int, values: list[str]) -> None:
    made = vault()
    canonical = [str(hash(value) % size) for value in values]
    hidden = [made.hide("X", value, form) for value, form in zip(values, canonical, strict=True)]
    assert [made.restore(place) for place in hidden] == values
