import random

import pytest

from policies.pii.lines import LONGEST, LineRedactor
from policies.pii.redactor import Redacted, Redactor
from policies.pii.settings import Policy, Rule
from tests.policies.pii.finding import KEY

BODY = "MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfnygWyF8PbMIIEpAIBAAKCAQEA0Z3VS5JJ"
BEGIN, END = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"


def redacted(*lines: str, **policy: object) -> list[Redacted]:
    made = Redactor(Policy.model_validate({"default": Rule(action="replace"), **policy}), KEY)
    redactor = LineRedactor(made, "acme")
    return [*(each for line in lines for each in redactor.push(line)), *redactor.flush()]


def texts(*lines: str, **policy: object) -> list[str]:
    return [each.text for each in redacted(*lines, **policy)]


def test_lines_are_redacted_each_by_itself() -> None:
    assert texts("passport:", "Z12803456", "bob@example.com") == [
        *("passport:", "Z12803456", "[EMAIL]"),
    ]


@pytest.mark.parametrize("end", ["", "\r"])
def test_of_a_key_nothing_is_left(end: str) -> None:
    lines = [f"{line}{end}" for line in (f"my key {BEGIN}", BODY, BODY[:20], f"{END} ok", "bye")]
    assert texts(*lines) == ["my key [PRIVATE_KEY]", "", "", f" ok{end}", f"bye{end}"]


def test_each_line_has_its_part_of_the_finding() -> None:
    lines = (f"my key {BEGIN}", BODY, END)
    spans = [each.spans for each in redacted(*lines)]
    assert [(span.start, span.end) for (span,) in spans] == [(7, 38), (0, len(BODY)), (0, 29)]


def test_a_mask_keeps_the_lines() -> None:
    masked = texts(BEGIN, BODY, END, default=Rule(action="mask"))
    assert masked[1] == "*" * len(BODY)
    assert [len(each) for each in masked] == [len(BEGIN), len(BODY), len(END)]


def test_observing_changes_nothing() -> None:
    lines = [f"my key {BEGIN}", BODY, f"{END} ok"]
    found = redacted(*lines, mode="observe")
    assert [each.text for each in found] == lines
    assert all(each.spans for each in found)


def test_what_only_begins_like_a_key_changes_nothing() -> None:
    lines = ["-----BEGIN CERTIFICATE-----", BODY, "-----BEGIN of the end", "Z12803456", "bye"]
    assert texts(*lines) == lines


def test_a_key_that_does_not_end_is_held_back_for_so_long_and_hidden() -> None:
    count = LONGEST // len(BODY) + 10
    shown = texts(BEGIN, *[BODY] * count, "bob@example.com")
    assert len(shown) == count + 2
    hidden = LONGEST // (len(BODY) + 1) - 1
    assert shown[0] == "[PRIVATE_KEY]"
    assert not any(shown[1:hidden])
    assert shown[-1] == "[EMAIL]"


def test_another_key_is_found_behind_one_that_does_not_end() -> None:
    filler = ["and so on, as it was said before"] * (LONGEST // 30)
    assert texts(BEGIN, *filler, BEGIN, BODY, END)[-3:] == ["[PRIVATE_KEY]", "", ""]


@pytest.mark.parametrize("seed", range(8))
def test_as_many_lines_come_out_as_go_in(seed: int) -> None:
    rng = random.Random(seed)
    scraps = [BEGIN, END, BODY, "", "-----BEGIN ", f"{BODY} {BEGIN} {BODY}", "bob@example.com"]
    lines = [rng.choice(scraps) for _ in range(rng.randrange(40))]
    assert len(redacted(*lines)) == len(lines)
    assert "bob@example.com" not in "".join(texts(*lines))
