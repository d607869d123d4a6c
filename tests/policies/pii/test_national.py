import pytest

from policies.pii.detector import Detector
from policies.pii.national import national


def found(text: str, *regions: str) -> list[str]:
    spans = Detector(national(regions)).find(text)
    return [text[span.start : span.end] for span in spans]


@pytest.mark.parametrize(
    ("number", "region"),
    [
        ("(415) 555-2671", "US"),
        ("415-555-2671", "US"),
        ("415.555.2671", "US"),
        ("1-415-555-2671", "US"),
        ("07400 123456", "GB"),
        ("020 7946 0958", "GB"),
        ("(020) 7946 0958", "GB"),
        ("06 12 34 56 78", "FR"),
        ("030 12345678", "DE"),
        ("02 9374 4000", "AU"),
    ],
)
def test_numbers_are_found_as_they_are_written_at_home(number: str, region: str) -> None:
    assert found(f"My number: {number}.", region) == [number]


@pytest.mark.parametrize(
    ("number", "region"),
    [("4155552671", "US"), ("612 345 678", "ES"), ("98765 43210", "IN"), ("6123 4567", "SG")],
)
def test_plain_ones_need_a_word(number: str, region: str) -> None:
    assert found(f"see {number}", region) == []
    assert found(f"call {number}", region) == [number]


def test_only_numbers_of_the_chosen_regions_count() -> None:
    assert found("call 4155552671", "SG") == []


@pytest.mark.parametrize(
    "text", ["115-555-2671", "415-155-2671", "06.08.2021 19:26", "2024-01-15 10", "0.4155552671"]
)
def test_what_no_plan_has_is_not(text: str) -> None:
    assert found(text, "US", "GB", "DE", "FR") == []
