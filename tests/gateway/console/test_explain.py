"""The form of `explain` as a question, and what can't be understood of it, by field."""

import pytest

from gateway.console.explain import read_question
from protos.errors import PenstockError


def test_a_form_is_the_question_of_the_command_line():
    asked = read_question(
        {
            "model": " fraud ",
            "tenant": "bank",
            "subject": "",
            "headers": "X-Team: risk\r\n\r\nx-url: http://a:1",
            "claims": '{"plan": "gold"}',
        }
    )
    assert (asked.model, asked.tenant, asked.subject) == ("fraud", "bank", "")
    assert asked.headers == {"X-Team": "risk", "x-url": "http://a:1"}
    assert asked.claims == {"plan": "gold"}


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"headers": "no colon"}, "headers: each line"),
        ({"headers": ": value"}, "headers: each line"),
        ({"claims": "[1]"}, "claims: "),
        ({"claims": "{"}, "claims: "),
        ({"model": ""}, "model"),
    ],
)
def test_what_cannot_be_understood_is_named(form: dict[str, str], sentence: str):
    with pytest.raises(PenstockError) as refused:
        read_question({"model": "fraud", **form})
    assert sentence in refused.value.message
