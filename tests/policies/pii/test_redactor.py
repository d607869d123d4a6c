import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.pii.redactor import Redactor
from policies.pii.settings import Allow, Policy, Rule
from protos.errors import Kind, PenstockError
from tests.policies.pii.finding import KEY, redactor

TEXT = "write to alice@example.com, card 4111 1111 1111 1111"


def redact(text: str, **policy: object) -> str:
    made = Redactor(Policy.model_validate(policy), KEY)
    return made.redact(text, made.vault("acme")).text


def test_actions_do_what_they_say() -> None:
    rules = {"EMAIL": Rule(action="replace"), "CREDIT_CARD": Rule(action="mask", keepLast=4)}
    assert redact(TEXT, entities=rules) == "write to [EMAIL], card **** **** **** 1111"
    rules = {"EMAIL": Rule(action="ignore"), "CREDIT_CARD": Rule(action="replace", text="<card>")}
    assert redact(TEXT, entities=rules) == "write to alice@example.com, card <card>"
    hashed = redact("alice@example.com ALICE@example.com", default=Rule(action="hash"))
    one, two = hashed.split()
    assert one == two
    assert re.fullmatch(r"\[EMAIL#[0-9a-f]{16}\]", one)


def test_masked_addresses_keep_their_signs_only() -> None:
    assert redact("a1@b.io", default=Rule(action="mask")) == "**@*.**"


def test_a_mask_hides_half_of_each_value_at_least() -> None:
    mask = Rule(action="mask", keepLast=8)
    assert redact("NHS number 943 476 5919", default=mask) == "NHS number *** **6 5919"
    assert redact("from 10.1.2.3", default=mask) == "from **.*.2.3"


def test_a_mask_shows_nothing_of_what_opens_doors() -> None:
    mask = Rule(action="mask", keepLast=8)
    assert redact("password: hunt3r!x9", default=mask) == "password: *********"
    key = "-----BEGIN EC PRIVATE KEY-----\nAb12Ab12Ab12Ab12\n-----END EC PRIVATE KEY-----"
    assert set(redact(key, default=mask)) == {"*", "\n", " "}


def test_observing_changes_nothing_and_sees_everything() -> None:
    made = Redactor(Policy(mode="observe", default=Rule(action="block")), KEY)
    result = made.redact(TEXT, made.vault("acme"))
    assert result.text == TEXT
    assert [span.entity for span in result.spans] == ["EMAIL", "CREDIT_CARD"]
    made.check(result.spans)


def test_a_refusal_tells_types_and_counts_and_no_values() -> None:
    made = Redactor(Policy(default=Rule(action="block")), KEY)
    result = made.redact(f"{TEXT} bob@example.com", made.vault("acme"))
    assert "alice" not in result.text
    with pytest.raises(PenstockError) as caught:
        made.check(result.spans)
    assert caught.value.kind is Kind.FORBIDDEN
    assert caught.value.message == "the privacy policy refuses this text: 1 CREDIT_CARD, 2 EMAIL"


def test_allow_lists_hold_for_their_tenants_and_entities() -> None:
    allow = (
        Allow(tenants=("acme",), entities=("EMAIL",), values=("Support@Acme.com",)),
        Allow(patterns=(r".*@example\.org",)),
    )
    made = Redactor(Policy(allow=allow), KEY)
    text = "support@acme.com x@example.org y@example.net"
    assert [span.start for span in made.find(text, "acme")] == [31]
    assert [span.start for span in made.find(text, "other")] == [0, 31]


def test_disguised_spellings_have_the_same_token() -> None:
    made = redactor()
    texts = ("4111 1111 1111 1111", "4111-1111-1111-1111", "４１１１１１１１１１１１１１１１")
    places = {made.redact(text, made.vault("acme")).text for text in texts}
    assert len(places) == 1


def test_placeholders_are_no_findings_themselves() -> None:
    made = redactor()
    vault = made.vault("acme")
    once = made.redact(TEXT, vault).text
    assert made.redact(once, vault).text == once


@given(st.lists(st.sampled_from([*TEXT.split(), "Bob@x.org", "bob@x.org", "[EMAIL", "]", "\n"])))
@settings(deadline=None, max_examples=100)
def test_what_is_hidden_is_restored_exactly(words: list[str]) -> None:
    text = " ".join(words)
    made = redactor()
    vault = made.vault("acme")
    assert vault.restore(made.redact(text, vault).text) == text
