"""What is installed is what was tested: versions and hashes agree, and other files are refused."""

import hashlib
import io
import runpy
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import distributions
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from tests.deploy.rendered import DEPLOY, ROOT

LOCKED: dict[str, Any] = runpy.run_path(str(DEPLOY / "locked.py"))
LOCK = LOCKED["read"]()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    found = {canonicalize_name(name): version for name, version in pairs}
    extras = chain.from_iterable(PROJECT["optional-dependencies"].values())
    exact = (
        each.split(";")[0].strip().split("==") for each in extras if "==" in each.split(";")[0]
    )
    return found | {canonicalize_name(name): version for name, version in exact}


def needed(*extras: str) -> set[str]:
    return {each.name for each in LOCKED["needed"](LOCK, extras)}


def test_versions_and_hashes_are_of_the_same_packages() -> None:
    locked = {each.name: each.requirement.split(" ; ")[0] for each in LOCK.values()}
    assert locked == {name: f"{name}=={version}" for name, version in pins().items()}, "make lock"
    assert all(each.hashes for each in LOCK.values())
    assert all(len(bytes.fromhex(one)) == 32 for each in LOCK.values() for one in each.hashes)


def test_the_lock_knows_every_extra() -> None:
    known = {label for each in LOCK.values() for label in each.via}
    extras = {f"penstock[{each}]" for each in PROJECT["optional-dependencies"]}
    assert extras - known == set(), "make lock"


def test_no_index_is_named() -> None:
    assert "://" not in (ROOT / "requirements.lock").read_text()


def test_what_is_not_asked_for_is_not_installed() -> None:
    assert "redis" not in needed()
    assert "redis" in needed("redis")
    assert needed("llm") >= {"transformers", "tokenizers", "safetensors", "sympy", "setuptools"}
    assert needed("llm").isdisjoint({"fastapi", "pytest", "torch", "onnxruntime-gpu"})
    assert needed("onnx-gpu") >= {"onnxruntime-gpu"}
    assert needed("onnx-gpu").isdisjoint({"onnxruntime"})
    with pytest.raises(ValueError, match="knows nothing of penstock\\[nonsense\\]"):
        LOCKED["needed"](LOCK, ["nonsense"])


def test_what_runs_here_is_what_the_lock_says() -> None:
    here = {canonicalize_name(each.metadata["Name"]): each.version for each in distributions()}
    wanted = needed("demo", "onnx", "test") & here.keys()
    assert len(wanted) > 100
    different = {
        name: here[name] for name in wanted if f"=={here[name]}" not in LOCK[name].requirement
    }
    assert different == {}


def test_a_line_that_is_neither_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "some.lock"
    lock.write_text("a==1 \\\n    --hash=md5:00\n    # via penstock\n")
    with pytest.raises(ValueError, match=r"some\.lock, line 2: not a requirement"):
        LOCKED["read"](lock)


def test_what_installs_is_a_wheel_wherever_there_is_one() -> None:
    lines = LOCKED["requirements"](["demo", "onnx", "test"], LOCKED["LOCK"]).splitlines()
    wheels = {line.removeprefix("--only-binary=") for line in lines if line.startswith("--only")}
    chosen = {line.split("==")[0] for line in lines if "==" in line}
    assert chosen - wheels == {*LOCKED["FROM_SOURCE"]}


def wheel(folder: Path, says: str) -> Path:
    path = folder / "water-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("water.py", f"SAYS = {says!r}\n")
        file.writestr(
            "water-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: water\nVersion: 1.0\n"
        )
        file.writestr(
            "water-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        file.writestr("water-1.0.dist-info/RECORD", "")
    return path


def source(folder: Path) -> bytes:
    """A distribution that leaves a trace when it is built."""
    files = {
        "PKG-INFO": "Metadata-Version: 2.1\nName: water\nVersion: 1.0\n",
        "setup.py": f"open({str(folder / 'ran')!r}, 'w')\n",
    }
    path = folder / "water-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"water-1.0/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path.read_bytes()


def install(folder: Path, digest: str) -> subprocess.CompletedProcess[str]:
    """What pip makes of `folder` as its index, where the lock has that digest."""
    lock, asked = folder / "requirements.lock", folder / "requirements.txt"
    lock.write_text(
        f"water==1.0 \\\n    --hash=sha256:{digest}\n    # via penstock, penstock[build]\n"
    )
    asked.write_text(LOCKED["requirements"]([], lock))
    command = [sys.executable, "-m", "pip", "install", "--require-hashes", "--no-deps"]
    command += ["--no-index", "--find-links", str(folder), "--target", str(folder / "installed")]
    return subprocess.run(
        [*command, "--requirement", str(asked)], capture_output=True, text=True, timeout=120
    )


def test_a_source_is_not_built_although_its_hash_is_right(tmp_path: Path) -> None:
    done = install(tmp_path, hashlib.sha256(source(tmp_path)).hexdigest())
    assert done.returncode != 0
    assert "No matching distribution found for water==1.0" in done.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("tampered", [False, True])
def test_a_file_with_another_hash_is_refused(tmp_path: Path, tampered: bool) -> None:
    digest = hashlib.sha256(wheel(tmp_path, "what was tested").read_bytes()).hexdigest()
    if tampered:
        wheel(tmp_path, "something else")
    done = install(tmp_path, digest)
    assert (done.returncode == 0) is not tampered
    assert (tmp_path / "installed" / "water.py").exists() is not tampered
    if tampered:
        assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr
