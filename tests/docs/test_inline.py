"""What sentences name is there: commands with their options, programs, files of the repository."""

import re
import shlex
from pathlib import Path

import pytest

from tests.docs.commands import MAKEFILE
from tests.docs.pages import GENERATED, ROOT, WRITTEN, inline_code

NAMED = [
    pytest.param(code, id=f"{file.relative_to(ROOT)}:{line}:{code}")
    for file in WRITTEN
    for line, code in inline_code(file)
]
TOP = {each.name for each in ROOT.iterdir() if each.is_dir()}
# A page of the reference, whose headings and rows are held to the code by a test of their own.
COMMANDS = {
    section.partition("\n")[0].strip(): section
    for section in (GENERATED / "cli.md").read_text().split("\n## ")
}


def of(pattern: str) -> list[object]:
    return [each for each in NAMED if re.match(pattern, str(each.values[0]))]


@pytest.mark.parametrize("code", of(r"penstock [a-z]"))
def test_commands_and_their_options_are_there(code: str) -> None:
    words = shlex.split(code.replace("…", ""))
    names = [name for name in COMMANDS if called(name, words)]
    groups = {name.rpartition(" ")[0] for name in COMMANDS}
    assert names or " ".join(words) in {*groups, "penstock backend"}, code
    told = "".join(COMMANDS[name] for name in names) + COMMANDS["Every penstock backend"]
    for word in words:
        if word.startswith("-"):
            assert f"`{word.partition('=')[0]}" in told, f"{code}: {word}"


def called(name: str, words: list[str]) -> bool:
    """Whether the words begin with the heading's, whose capitals stand for anything."""
    heading = [each for each in name.split(" ") if not each.startswith("[")]
    fixed = [each for each in heading if not each.isupper()]
    return bool(fixed) and words[: len(fixed)] == fixed


@pytest.mark.parametrize("code", of(r"python -m benchmarks"))
def test_benchmarks_are_there(code: str) -> None:
    module = code.split(" ")[2:]
    name = module[1] if len(module) > 1 else module[0].replace(".", "/").removeprefix("benchmarks/")
    found = [ROOT / "benchmarks" / f"{name}.py", ROOT / name / "__main__.py"]
    assert any(each.is_file() for each in found), code


@pytest.mark.parametrize("code", of(r"make [a-z]+$"))
def test_targets_are_there(code: str) -> None:
    assert re.search(rf"^{code.removeprefix('make ')}:", MAKEFILE, re.MULTILINE), code


@pytest.mark.parametrize("code", of(rf"({'|'.join(map(re.escape, sorted(TOP)))})/[\w/.-]*$"))
def test_files_are_there(code: str) -> None:
    assert (ROOT / Path(code)).exists(), code


@pytest.mark.parametrize("code", of(r"(GET|POST) (:800\d)?/"))
def test_paths_are_there(code: str) -> None:
    asked = shape(re.sub(r" :800\d", " ", code).partition("?")[0])
    told = re.findall(r"`((?:GET|POST) [^`]*)`", (GENERATED / "http.md").read_text())
    assert asked in {shape(each) for each in told}, code


def shape(request: str) -> str:
    """A method and a path, whose variable parts are all the same."""
    return re.sub(r"/(\{[^/]*\}|[A-Z]+|[a-z]+:[a-z]+)(?=/|$)", "/{}", request.rstrip("/…"))
