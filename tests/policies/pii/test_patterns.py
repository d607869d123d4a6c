import pytest
import re2

from policies.pii.patterns import Place, compiled


def test_patterns_are_of_folded_bytes() -> None:
    assert compiled(rb"\x82+").search(b"a\x82\x82").span() == (1, 3)
    assert compiled(rb"a(b)").search(b"ab").span(1) == (1, 2)


def test_places_are_found_from_a_position_on() -> None:
    place = Place(rb"(?:^|[^b])ab")
    assert place.search(b"ab cab") == (0, 2)
    assert place.search(b"ab cab", 1) == (3, 6)
    assert place.search(b"ab cab", 4) is None
    assert place.search(b"", 0) is None


def test_errors_are_raised_and_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(re2.error):
        compiled(b"(")
    with pytest.raises(re2.error):
        Place(b"(")
    assert capfd.readouterr().err == ""
