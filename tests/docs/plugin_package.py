"""The policy and the runtime of docs/plugins.md, installed as their page says."""

import tomllib
from pathlib import Path

from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "plugins.md"


def install(folder: Path) -> None:
    """What installing both packages leaves in a folder of Python's path: modules, entry points."""
    points: list[str] = []
    for block in blocks(PAGE):
        if block.language == "python":
            name = block.text.partition("\n")[0].removeprefix("# ")
            (folder / name).write_text(block.text)
        elif block.language == "toml":
            for group, found in tomllib.loads(block.text)["project"]["entry-points"].items():
                points += [f"[{group}]", *(f"{name} = {value}" for name, value in found.items())]
    information = folder / "of_the_page-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: of-the-page\nVersion: 1\n")
    (information / "entry_points.txt").write_text("\n".join(points))
