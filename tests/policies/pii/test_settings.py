import pytest

from policies.pii.settings import PrivacyDocument
from protos.strict_yaml import ConfigError, load

HEAD = "apiVersion: penstock/v1\nkind: Privacy\nmetadata: {name: bank}\nspec:\n"


def test_a_policy_reads_like_this() -> None:
    text = HEAD + (
        "  mode: observe\n"
        "  default: {action: replace}\n"
        "  entities:\n"
        "    EMAIL: {action: restore}\n"
        "    CREDIT_CARD: {action: mask, keepLast: 4}\n"
        "    US_SSN: {action: block, minScore: 0.3}\n"
        "  patterns: [{entity: EMPLOYEE, pattern: 'E-[0-9]{6}', context: [badge]}]\n"
        "  allow: [{tenants: [acme], entities: [EMAIL], values: [support@acme.com]}]\n"
        "  phoneRegions: [US, SG]\n"
        "  binaryInputs: [image]\n"
        "  binaryOutputs: [picture]\n"
    )
    policy = load(text, "bank.yaml", PrivacyDocument).spec
    assert policy.rule("CREDIT_CARD").keep_last == 4
    assert policy.rule("PHONE").action == "replace"
    assert policy.least("US_SSN") == 0.3
    assert policy.least("PHONE") == 0.5


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("entities: {EMIAL: {action: mask}}", 'no entity "EMIAL"; did you mean "EMAIL"?'),
        ("entities: {EMAIL: {action: hide}}", "entities.EMAIL.action"),
        ("entities: {EMAIL: {action: hash, keepLast: 2}}", "keepLast goes with action mask"),
        ("entities: {EMAIL: {action: mask, text: x}}", "text goes with action replace"),
        ("entities: {EMAIL: {action: mask, keepLast: 9}}", "less than or equal to 8"),
        ("allow: [{tenants: [a]}]", "has values or patterns"),
        ("allow: [{entities: [NO], values: [x]}]", 'spec.allow[0].entities[0]: no entity "NO"'),
        ("phoneRegions: [XX]", 'spec.phoneRegions[0]: "XX" is no region'),
        ("minScore: 2", "less than or equal to 1"),
        ("patterns: [{entity: lower, pattern: x}]", "patterns[0].entity"),
        ("modus: observe", 'did you mean "mode"?'),
    ],
)
def test_mistakes_are_told_with_their_field(spec: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(f"{HEAD}  {spec}\n", "bank.yaml", PrivacyDocument)
    assert sentence in caught.value.message
