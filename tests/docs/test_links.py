"""Links in README.md and docs/ lead somewhere."""

from pathlib import Path

import pytest

from tests.docs.pages import FILES, ROOT, anchors, links


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_are_there(file: Path) -> None:
    lost = [f"{file.name}:{line}: {target}" for line, target in links(file) if _lost(file, target)]
    assert lost == []


def _lost(file: Path, target: str) -> bool:
    if ":" in target.partition("#")[0]:  # another site's
        return False
    path, _, anchor = target.partition("#")
    there = (file.parent / path).resolve() if path else file
    if not there.exists():
        return True
    return bool(anchor) and there.suffix == ".md" and anchor not in anchors(there)


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    found = [ROOT / "README.md"]
    while found:
        file = found.pop()
        if file in reached or file.suffix != ".md":
            continue
        reached.add(file)
        found += [
            there
            for _, target in links(file)
            if (there := (file.parent / target.partition("#")[0]).resolve()).is_file()
        ]
    assert [str(file.relative_to(ROOT)) for file in FILES if file not in reached] == []
