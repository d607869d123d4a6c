"""docs/reference is what the code says: `make reference` writes it anew."""

import re
import runpy

import pytest

from tests.docs.pages import GENERATED, ROOT

# A program, not a module of a package.
PROGRAM = runpy.run_path(str(GENERATED))
PAGES = PROGRAM["PAGES"]
ADMIN = PROGRAM["http_face"].ADMIN
ROUTE = re.compile(r"Route\(\"(/(?:admin|metrics)[^\"]*)\"")


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_what_the_code_says(name: str) -> None:
    assert (GENERATED / name).read_text() == PAGES[name](), "run `make reference`"


def test_every_path_for_administrators_is_told() -> None:
    found = {
        path
        for file in (ROOT / "gateway").rglob("*.py")
        for path in ROUTE.findall(file.read_text())
    }
    assert found == {each.partition(" ")[2] for each in ADMIN}
