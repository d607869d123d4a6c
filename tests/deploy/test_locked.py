"""What is installed is what was tested: versions and hashes agree, and other files are refused."""

import hashlib
import runpy
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distributions
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
    return {canonicalize_name(name): version for name, version in pairs}


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


@pytest.mark.parametrize("tampered", [False, True])
def test_a_file_with_another_hash_is_refused(tmp_path: Path, tampered: bool) -> None:
    folder, target = tmp_path / "index", tmp_path / "installed"
    folder.mkdir()
    digest = hashlib.sha256(wheel(folder, "what was tested").read_bytes()).hexdigest()
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        f"water==1.0 \\\n    --hash=sha256:{digest}\n    # via penstock, penstock[build]\n"
    )
    asked = tmp_path / "requirements.txt"
    asked.write_text(LOCKED["requirements"]([], lock))
    if tampered:
        wheel(folder, "something else")
    command = [sys.executable, "-m", "pip", "install", "--require-hashes", "--no-deps"]
    command += ["--no-index", "--find-links", str(folder), "--target", str(target)]
    done = subprocess.run(
        [*command, "--requirement", str(asked)], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode == 0) is not tampered
    assert (target / "water.py").exists() is not tampered
    if tampered:
        assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr
