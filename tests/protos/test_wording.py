"""Sentences repeat a client's names only as far as a reader or a log can bear them."""

from protos.wording import did_you_mean, quote


def test_names_are_quoted_short_and_printable():
    assert quote("x") == '"x"'
    assert quote("é😀") == '"é😀"'
    assert quote("a\nb\0") == '"a\ufffdb\ufffd"'
    assert len(quote("x" * 10_000)) <= 66


def test_the_likely_name_is_offered_or_else_all():
    assert did_you_mean("FP33", ["FP32", "BOOL"]) == '; did you mean "FP32"?'
    assert did_you_mean("zzz", ["FP32", "BOOL"]) == "; known are FP32, BOOL"
    assert did_you_mean("zzz", []) == ""
