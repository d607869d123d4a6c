"""Makes requirements.lock of constraints.txt: `make lock`.

For every version that is pinned it takes the SHA-256 of its files from pip's configured index (the
JSON form of the simple API, PEP 691), for Linux and macOS with CPython 3.11 to 3.13, and what each
package asks for from pip's report. The result says for each package who asks for it, as pip-tools
does, so that `deploy/locked.py` can choose what some extras need.
"""

import json
import os
import subprocess
import sys
import tomllib
from collections import defaultdict
from itertools import chain, product
from pathlib import Path
from typing import Any

import httpx
from locked import APART, BUILD, LOCK, read
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.tags import Tag
from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version
from pip._internal.models.index import PyPI  # what pip asks if it is told nothing

ROOT = Path(__file__).resolve().parent.parent
MINORS = (11, 12, 13)
MACHINES = (
    ("linux", "Linux", "x86_64"),
    ("linux", "Linux", "aarch64"),
    ("darwin", "Darwin", "arm64"),
)
ENVIRONMENTS = [
    {
        "python_version": f"3.{minor}",
        "python_full_version": f"3.{minor}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
        "sys_platform": platform,
        "platform_system": system,
        "platform_machine": machine,
    }
    for minor, (platform, system, machine) in product(MINORS, MACHINES)
]
HEADER = """\
# SHA-256 of the files of every version in constraints.txt, for Linux and macOS with CPython 3.11 to
# 3.13. Made by `make lock`; deploy/locked.py chooses from it by who asks for what.
"""

Json = dict[str, Any]


def main() -> None:
    pins = pinned()
    with httpx.Client(timeout=60, follow_redirects=True) as client:
        index = configured_index()
        files = {name: files_of(client, index, name, version) for name, version in pins.items()}
    asked, cpu = asked_for(pins)
    files[APART] += [{"hashes": {"sha256": each}} for each in (cpu, *former(pins[APART]))]
    via = who_asks(asked)
    blocks = [HEADER]
    for name, version in sorted(pins.items()):
        if name not in via:
            sys.exit(f"constraints.txt: nothing asks for {name}")
        hashes = sorted({each["hashes"]["sha256"] for each in files[name]})
        marker = only_on(set().union(*via[name].values()))
        lines = [f"{name}=={version}{marker}", *(f"    --hash=sha256:{each}" for each in hashes)]
        blocks.append(" \\\n".join(lines) + f"\n    # via {', '.join(sorted(via[name]))}\n")
    LOCK.write_text("".join(blocks))


def pinned() -> dict[str, Version]:
    """By constraints.txt, or, what may be another one beside a torch for GPUs, by an extra."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    pins = {canonicalize_name(name): Version(version) for name, version in pairs}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for each in map(Requirement, chain.from_iterable(project["optional-dependencies"].values())):
        for specifier in each.specifier:
            if specifier.operator == "==":
                pins[canonicalize_name(each.name)] = Version(specifier.version)
    return pins


def configured_index() -> str:
    """The one that pip installs from here: of its variable, of its files, or its own."""
    if told := os.environ.get("PIP_INDEX_URL"):
        return told
    for section in ("install", "global"):
        command = [sys.executable, "-m", "pip", "config", "get", f"{section}.index-url"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout.strip()
    return PyPI.simple_url


def files_of(client: httpx.Client, index: str, name: str, version: Version) -> list[Json]:
    """The version's wheels that fit a supported machine, and its source; none is an error."""
    page = f"{index.rstrip('/')}/{name}/"
    answer = client.get(page, headers={"accept": "application/vnd.pypi.simple.v1+json"})
    answer.raise_for_status()
    found = []
    for each in answer.json()["files"]:
        try:
            if each["filename"].endswith(".whl"):
                _, of, _, tags = parse_wheel_filename(each["filename"])
            else:
                (_, of), tags = parse_sdist_filename(each["filename"]), frozenset()
        except ValueError:  # of old releases: other forms of versions and archives
            continue
        if of == version and (not tags or any(map(fits, tags))):
            found.append(each)
    if not found:
        sys.exit(f"{name} {version}: the index has no file that fits")
    return found


def fits(tag: Tag) -> bool:
    """Whether a wheel's tag is one of a supported interpreter and machine."""
    machine = tag.platform
    if machine != "any" and not (
        (machine.startswith(("manylinux", "linux_")) and machine.endswith(("x86_64", "aarch64")))
        or machine.startswith("macosx")
    ):
        return False
    if tag.abi == "none":
        return tag.interpreter.startswith("py") or tag.interpreter in own()
    if tag.abi == "abi3":
        return int(tag.interpreter.removeprefix("cp3") or 0) <= max(MINORS)
    return tag.interpreter in own() and tag.abi == tag.interpreter


def own() -> set[str]:
    return {f"cp3{minor}" for minor in MINORS} | {"cp3"}


def former(version: Version) -> tuple[str, ...]:
    """The hashes that the lock has of this torch: builds for other machines stay known."""
    known = read().get(APART) if LOCK.exists() else None
    return known.hashes if known and known.requirement == f"{APART}=={version}" else ()


def asked_for(pins: dict[str, Version]) -> tuple[dict[str, list[Requirement]], str]:
    """What each version requires by its metadata, as pip finds it, and the hash of its torch."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "-qq", "--report", "-"]
    command += ["--ignore-installed", "--no-deps"]
    command += [f"{name}=={version}" for name, version in pins.items()]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    asked, torch = {}, ""
    for each in json.loads(done.stdout)["install"]:
        name = canonicalize_name(each["metadata"]["name"])
        asked[name] = [Requirement(one) for one in each["metadata"].get("requires_dist", [])]
        if name == APART:
            torch = each["download_info"]["archive_info"]["hashes"]["sha256"]
    return asked, torch


def who_asks(asked: dict[str, list[Requirement]]) -> dict[str, dict[str, set[int]]]:
    """By package, who asks for it (a package, `penstock` or `penstock[extra]`), and where.

    What an extra of a package brings is asked for by whoever asks for that extra.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked["penstock"] = [Requirement(each) for each in project["dependencies"]]
    extras = project["optional-dependencies"]
    for extra, wanted in extras.items():
        asked["penstock"] += [only_for(extra, each) for each in wanted]
    askers = [(name, "") for name in asked] + [("penstock", extra) for extra in extras]
    via: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    via["setuptools"][BUILD] = set(range(len(ENVIRONMENTS)))
    for number, where in enumerate(ENVIRONMENTS):
        for name, extra in askers:
            label = f"{name}[{extra}]" if extra else name
            for target in wanted_by(asked, name, extra, where):
                via[target][label].add(number)
    return via


def only_for(extra: str, requirement: str) -> Requirement:
    """As it would stand in the metadata."""
    made = Requirement(requirement)
    marker = f'extra == "{extra}"'
    made.marker = Marker(f"({made.marker}) and {marker}" if made.marker else marker)
    return made


def wanted_by(
    asked: dict[str, list[Requirement]], name: str, extra: str, where: dict[str, str]
) -> set[str]:
    """The packages that one asks for; those without a version are for GPUs, and left out."""
    found: set[str] = set()
    for each in asked[name]:
        target = canonicalize_name(each.name)
        if target not in asked or not holds(each, extra, where):
            continue
        if target != name:
            found.add(target)
        for more in each.extras:
            found |= wanted_by(asked, target, more, where)
    return found


def holds(requirement: Requirement, extra: str, where: dict[str, str]) -> bool:
    """Whether it is asked for there by the package itself, or by the extra alone."""
    if requirement.marker is None:
        return not extra
    if not requirement.marker.evaluate({**where, "extra": extra}):
        return False
    return not extra or not requirement.marker.evaluate({**where, "extra": ""})


def only_on(machines: set[int]) -> str:
    """A marker, where not all machines need a package; interpreters may get one too many."""
    of = [ENVIRONMENTS[number] for number in machines]
    if any(each["sys_platform"] != "linux" for each in of):
        return ""
    if any(each["platform_machine"] != "x86_64" for each in of):
        return ' ; sys_platform == "linux"'
    return ' ; sys_platform == "linux" and platform_machine == "x86_64"'


if __name__ == "__main__":
    main()
