import re
from pathlib import Path

import pytest

from policies.pii import recognisers
from policies.pii.recogniser import Recogniser
from policies.pii.recognisers import built_in


def test_every_file_is_found_and_has_a_test() -> None:
    names = {path.stem for path in Path(recognisers.__file__).parent.glob("[a-z]*.py")}
    tested = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert names <= tested


def test_entities_fit_into_placeholders() -> None:
    for recogniser in built_in():
        assert re.fullmatch(r"[A-Z][A-Z0-9_]{0,39}", recogniser.entity)
        assert recogniser.score <= recogniser.confirmed <= 1


@pytest.mark.parametrize("recogniser", built_in(), ids=lambda each: each.entity)
def test_weak_patterns_have_words(recogniser: Recogniser) -> None:
    assert recogniser.score >= 0.5 or recogniser.context or recogniser.alone
