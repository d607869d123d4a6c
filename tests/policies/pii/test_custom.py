import pytest

from policies.pii.custom import recogniser
from policies.pii.redactor import Redactor
from policies.pii.settings import Pattern, Policy
from protos.errors import PenstockError
from tests.policies.pii.finding import KEY


def found(text: str, **pattern: object) -> list[str]:
    made = Pattern.model_validate({"entity": "OWN", **pattern})
    redactor = Redactor(Policy(patterns=(made,)), KEY)
    spans = redactor.find(text, "acme")
    return [text[span.start : span.end] for span in spans if span.entity == "OWN"]


def test_own_patterns_are_found() -> None:
    assert found("badge E-123456.", pattern=r"\bE-[0-9]{6}\b") == ["E-123456"]
    assert found("e-123456", pattern=r"\bE-[0-9]{6}\b", ignoreCase=True) == ["e-123456"]


def test_they_may_match_across_words() -> None:
    assert found("the project falcon is late", pattern="project falcon") == ["project falcon"]


def test_they_see_text_without_accents_and_disguises() -> None:
    assert found("Frau Mu\u0308ller, M&#252;ller", pattern="Müller") == [
        "Mu\u0308ller",
        "M&#252;ller",
    ]


def test_words_may_be_asked_for() -> None:
    pattern = {"pattern": "[0-9]{6}", "context": ("staff no.",)}
    assert found("Staff no. 123456", **pattern) == ["123456"]
    assert found("number 123456", **pattern) == []


def test_longer_matches_are_none() -> None:
    assert found("xxxxx", pattern="x+", maxLength=4) == ["xxxx"]
    assert found("ab", pattern="a.*b", maxLength=2) == ["ab"]
    assert found("a---b", pattern="a.*b", maxLength=4) == []


@pytest.mark.parametrize(
    ("pattern", "crosses"),
    [
        (r"\bE-[0-9]{6}\b", False),
        (r"(?:AB|CD)[a-f0-9]+", False),
        (r"[A-Z]{2}\d{4}", False),
        ("project falcon", True),
        (r"\S+", True),
        ("a.b", True),
        ("[^a]", True),
        (r"[+-z]", True),
        (r"\bX\W", True),
    ],
)
def test_patterns_that_may_match_a_blank_are_known(pattern: str, crosses: bool) -> None:
    assert recogniser(Pattern(entity="OWN", pattern=pattern)).crosses is crosses


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("(?=x)", "the pattern of OWN is not RE2"),
        ("x*", "the pattern of OWN matches the empty text"),
        ("汉", "the pattern of OWN has letters that are not Latin"),
    ],
)
def test_patterns_that_cannot_work_are_refused(pattern: str, sentence: str) -> None:
    with pytest.raises(PenstockError, match=sentence):
        recogniser(Pattern(entity="OWN", pattern=pattern))
