import pytest
import re2

from policies.pii.patterns import compiled


def test_patterns_are_of_folded_bytes() -> None:
    assert compiled(rb"\x82+").search(b"a\x82\x82").span() == (1, 3)
    assert compiled(rb"a(b)").search(b"ab").span(1) == (1, 2)


def test_errors_are_raised_and_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(re2.error):
        compiled(b"(")
    assert capfd.readouterr().err == ""
