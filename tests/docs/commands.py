"""The commands of a block, and what becomes of each: most are run, some can only be looked at."""

import re
import shlex
import tomllib
from collections.abc import Iterator

from tests.deploy.rendered import unknown_options
from tests.docs.pages import ROOT, Block

PROGRAMS = {
    "penstock", "penstock-chaos", "curl", "make", "pip", "python", "export", "echo", "cp",
    "kubectl", "helm", "docker",
}  # fmt: skip
SHELLS = {"sh", "bash", "console"}
MAKEFILE = (ROOT / "Makefile").read_text()
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def commands(block: Block) -> list[str]:
    """Each with the lines that continue it; none where a block shows something else."""
    lines = block.text.splitlines()
    if any(line.startswith("$ ") for line in lines):  # what follows them is output
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    first = next((line for line in lines if not line.startswith("#")), "").split(" ")[0]
    if block.language in SHELLS or (block.language in {"", "indented"} and first in PROGRAMS):
        return list(_joined(lines))
    return []


def _joined(lines: list[str]) -> Iterator[str]:
    whole = ""
    for line in lines:
        whole = f"{whole}\n{line}" if whole else line
        if whole.endswith("\\") or _open(whole):
            continue
        if whole.strip() and not whole.startswith("#"):
            yield whole
        whole = ""


def _open(text: str) -> bool:
    """Whether a quotation mark is still to be closed."""
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return True
    return False


def looked_at(command: str) -> str:
    """What is asked of a command that installs, starts or ends more than a test may; "" for others.

    Raises AssertionError where it isn't what this version has.
    """
    words = shlex.split(command, comments=True)
    match words:
        case ["make", target, *_]:
            assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), command
        case ["pip", "install", what]:
            _, _, extra = what.rstrip("]").partition("[")
            assert not extra or extra in EXTRAS, command
        case ["penstock", "backend", *rest]:
            assert unknown_options(rest) == set(), command
        case _:
            return ""
    return "penstock backend" if words[1] == "backend" else words[0]
