"""Configuration is read strictly, and every refusal says where and what."""

import contextlib
import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import Field, model_validator

from protos.quantities import Duration, seconds
from protos.settings import Misplaced, Settings
from protos.strict_yaml import ConfigError, load, read


class Retry(Settings):
    max_attempts: int = 1
    hedge_after: Duration = seconds("1s")


class Endpoint(Settings):
    name: str
    weight: float = 1.0
    retry: Retry | None = None


class Sample(Settings):
    kind: Literal["Sample"] = "Sample"
    endpoints: tuple[Endpoint, ...] = ()
    named: dict[str, Endpoint] = Field(default_factory=dict)
    open: bool = False
    pick: Literal["all"] | Retry | tuple[int, ...] = "all"

    @model_validator(mode="after")
    def _weights(self) -> "Sample":
        if self.endpoints and not sum(endpoint.weight for endpoint in self.endpoints):
            raise ValueError("endpoints: the weights add up to nothing")
        for index, endpoint in enumerate(self.endpoints):
            if endpoint.retry is not None and endpoint.retry.hedge_after > 60:
                why = "is longer than anybody waits"
                raise Misplaced(why, "endpoints", index, "retry", "hedgeAfter")
        return self


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(text, "sample.yaml", Sample)
    return str(caught.value)


def test_a_file_becomes_its_model() -> None:
    text = """
    kind: Sample
    endpoints:
      - {name: a, weight: 95}
      - name: "b"
        retry: {hedgeAfter: 500ms}
    """
    sample = load(text, "sample.yaml", Sample)
    assert sample.endpoints[0] == Endpoint(name="a", weight=95.0)
    assert sample.endpoints[1].retry == Retry.model_validate({"hedgeAfter": "500ms"})


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n"])
def test_an_empty_file_is_all_defaults(text: str) -> None:
    assert load(text, "sample.yaml", Sample) == Sample()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("010", "010"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("true", True),
        ("~", None),
        ("-7", -7),
        ("1e3", 1000.0),
        (".5", 0.5),
        ('"1"', "1"),
        ("'true'", "true"),
        (".nan", ".nan"),
        ("9223372036854775807123", "9223372036854775807123"),
    ],
)
def test_scalars_mean_what_they_look_like(text: str, value: object) -> None:
    assert read(f"[{text}]", "sample.yaml").value == [value]


def test_an_unknown_key_is_named_with_its_line_and_what_was_probably_meant() -> None:
    text = "kind: Sample\nendpoints:\n  - name: a\n    wieght: 3\n"
    assert refusal(text) == (
        'sample.yaml:4: endpoints[0].wieght: unknown key; did you mean "weight"?'
    )


def test_hints_reach_through_optional_values_and_dictionaries() -> None:
    text = "named:\n  first:\n    name: a\n    retry:\n      hedgeafter: 5s\n"
    assert refusal(text) == (
        'sample.yaml:5: named.first.retry.hedgeafter: unknown key; did you mean "hedgeAfter"?'
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: A\nkind: B\n", '2: "kind" is given twice, first in line 1'),
        ("kind: &a Sample\n", "1: anchors are not allowed: &a"),
        ("kind: Sample\nopen: *a\n", "2: aliases are not allowed: *a"),
        ("kind: !!python/name:os.system x\n", "1: tags are not allowed: tag:yaml.org,2002:python"),
        ("kind: Sample\n---\nkind: Sample\n", "2: a file holds one document"),
        ("[1]: 2\n", "1: a key is a plain word"),
        ("kind: [\n", "2: not valid YAML"),
        ('kind: Sample\nname: "\\U00110000"\n', "2: not valid YAML: there is no such character"),
        ("kind: Sample\nopen: \x07\n", "2: not valid YAML"),
        ("open: 1e999\n", '1: "1e999" is too large a number'),
        ('kind: "\\ud800"\n', "1: text with half of a surrogate pair"),
        ("[" * 80 + "]" * 80, "1: nested deeper than 64 levels"),
        ("- 1\n", "1: should be a mapping"),
        ("endpoints:\n- weight: 1\n", '2: endpoints[0]: "name" is missing'),
        ("endpoints:\n- {name: 1}\n", "2: endpoints[0].name: should be a valid string"),
        ("open: yes\n", "1: open: should be a valid boolean"),
        (
            "endpoints:\n- name: a\n  retry:\n    hedgeAfter: 5\n",
            "4: endpoints[0].retry.hedgeAfter",
        ),
        ("endpoints: [{name: a, weight: 0}]\n", "1: endpoints: the weights add up to nothing"),
    ],
)
def test_every_refusal_has_a_line(text: str, message: str) -> None:
    assert refusal(text).startswith(f"sample.yaml:{message}")


def test_what_a_whole_model_has_against_a_value_in_it_is_told_at_the_values_line() -> None:
    text = "endpoints:\n- name: a\n- name: b\n  retry:\n    hedgeAfter: 2m\n"
    why = "endpoints[1].retry.hedgeAfter: is longer than anybody waits"
    assert refusal(text) == f"sample.yaml:5: {why}"


def test_all_errors_are_told_at_once() -> None:
    assert refusal("kind: Other\nopem: true\n").splitlines() == [
        "sample.yaml:1: kind: should be 'Sample'",
        'sample.yaml:2: opem: unknown key; did you mean "open"?',
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pick: al", "1: pick: should be 'all' or a mapping or a list"),
        ("pick: {maxAttempts: x}", "1: pick.maxAttempts: should be a valid integer"),
        ("pick: [1, b]", "1: pick[1]: should be a valid integer"),
    ],
)
def test_a_union_is_answered_by_the_member_that_was_probably_meant(text: str, message: str) -> None:
    assert refusal(text).startswith(f"sample.yaml:{message}")
    assert len(refusal(text).splitlines()) == 1


# What JSON escapes of the rest, YAML doesn't read as JSON does (pairs of surrogates).
TEXT = st.text(st.sampled_from([chr(code) for code in range(32, 127)] + ["\n", "\t"]), max_size=8)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN)
@hypothesis_settings(deadline=None, max_examples=60)
def test_what_is_written_in_json_is_read_the_same(value: Any) -> None:
    assert read(json.dumps(value), "sample.json").value == value


@given(st.text(st.sampled_from("ab:-[]{}&*!|>'\"#,?% \n\t~0\x00\ud800"), max_size=30))
@hypothesis_settings(deadline=None, max_examples=200)
def test_no_text_gives_another_exception(text: str) -> None:
    with contextlib.suppress(ConfigError):
        read(text, "sample.yaml")


def test_a_key_that_looks_like_none_is_not_repeated() -> None:
    text = "root:$6$secret:20228:0:99999:7:::\nkind: Sample\n"
    told = refusal(text)
    assert told.startswith("sample.yaml:1: (a key of 32 characters): unknown key")
    assert "secret" not in told
