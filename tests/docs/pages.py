"""README.md and the pages of docs/, taken apart: blocks of code, links, headings."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "docs" / "reference"
FILES = (ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md")))
WRITTEN = tuple(file for file in FILES if GENERATED not in file.parents)  # by people

_MARK = re.compile(r"<!-- (?:needs: (\w+)|runs: elsewhere \((.+)\)) -->")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code; `mark` is why it isn't run here, as the comment before it says."""

    file: Path
    line: int
    language: str  # "" for a fence without one, "indented" for one without a fence
    text: str
    mark: str = ""

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line}"


def blocks(file: Path) -> Iterator[Block]:
    mark = ""
    for token in _tokens(file):
        if token.type in {"fence", "code_block"} and token.map:
            language = token.info.strip() if token.type == "fence" else "indented"
            yield Block(file, token.map[0] + 1, language, token.content, mark)
        if token.type == "html_block":
            found = _MARK.search(token.content)
            mark = (found[1] or found[2]) if found else ""
        else:
            mark = ""


def links(file: Path) -> Iterator[tuple[int, str]]:
    """Each link's line and where it leads."""
    for token in _tokens(file):
        for child in token.children or ():
            for name in ("href", "src"):
                if name in child.attrs and token.map:
                    yield token.map[0] + 1, str(child.attrs[name])


def inline_code(file: Path) -> Iterator[tuple[int, str]]:
    for token in _tokens(file):
        for child in token.children or ():
            if child.type == "code_inline" and token.map:
                yield token.map[0] + 1, child.content


def anchors(file: Path) -> set[str]:
    """The names of the page's headings, as GitHub makes them."""
    found: set[str] = set()
    tokens = _tokens(file)
    for opening, heading in pairwise(tokens):
        if opening.type == "heading_open":
            said = "".join(child.content for child in heading.children or ())
            found.add(re.sub(r"[^\w\- ]", "", said.lower()).strip().replace(" ", "-"))
    return found


def _tokens(file: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(file.read_text(encoding="utf-8"))
