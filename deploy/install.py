"""Sets up `.venv` with Penstock and its demo: `python3 deploy/install.py` (make up).

With `--tests` what tests need is added (make test), which is as much again.

Standard library only, since nothing is installed yet. Packages come from pip's configured index at
the versions in constraints.txt, and pip refuses files whose SHA-256 isn't in requirements.lock;
torch is the exception, see `install_torch`.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import NamedTuple

from locked import read, requirements

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
CONSTRAINTS = ROOT / "constraints.txt"
CUDA_PACKAGES = ("nvidia-", "cuda-", "triton")
# What of pip's output tells somebody who waits how far it is.
TOLD = ("Downloading", "Using cached", "Processing", "Installing", "ERROR")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--torch-index", default="", help="PyTorch's index of CPU builds")
    arguments.add_argument("--tests", action="store_true", help="also what tests need")
    options = arguments.parse_args()
    began = time.monotonic()
    check_python()
    gpu = has_nvidia_driver()
    print(f"Setting up {ENVIRONMENT.name} with Python {sys.version.split()[0]}:")
    print(f"  {'an NVIDIA driver is here: CUDA' if gpu else 'no NVIDIA driver: CPU'} builds")
    if not (ENVIRONMENT / "bin" / "python").exists():
        venv.create(ENVIRONMENT, with_pip=True)
    extras = ["onnx-gpu" if gpu else "onnx", "demo"]
    if options.tests:
        extras.append("test")
    print(f"  Penstock with {', '.join(extras)}: what is not here yet is downloaded, which takes")
    print("  a minute or more; pip is silent while it puts everything into place.")
    install_locked(requirements(extras))
    install_torch(gpu, options.torch_index)
    # Without pip's isolation, for which it would fetch setuptools anew and unchecked.
    pip("install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    print(f"Set up in {time.monotonic() - began:.0f} s; all of it lies in {ENVIRONMENT.name}.")


def check_python() -> None:
    if not (3, 11) <= sys.version_info < (3, 14):  # this file is run before pip can check it
        sys.exit(
            f"Penstock needs Python 3.11, 3.12 or 3.13, for which requirements.lock has files, and "
            f"this is {sys.version.split()[0]}; name another one: make up PYTHON=python3.12"
        )
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        sys.exit("This Python can't make environments; on Debian: apt-get install python3-venv")


def has_nvidia_driver() -> bool:
    return shutil.which("nvidia-smi") is not None or any(Path("/dev").glob("nvidia*"))


def install_locked(text: str) -> None:
    """Installs requirements that have hashes; what has another one is refused."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(text)
        file.flush()
        pip("install", "--require-hashes", "--no-deps", "--requirement", file.name)


def install_torch(gpu: bool, index: str) -> None:
    """Installs the pinned torch unless some build of it is here already.

    Builds without CUDA come from where they can be had, and not all of their hashes are known; then
    the index's own is what pip checks, if it tells one. Of builds for GPUs the CUDA packages are as
    torch asks for them, by version.
    """
    version = pinned("torch")
    have = installed("torch")
    if have.split("+")[0] == version:
        print(f"  torch {have} is here")
    elif gpu:
        print(f"  torch {version}")
        install_locked(f"{read()['torch'].lines()}\n")
        pip("install", "--constraint", str(CONSTRAINTS), f"torch=={version}")
    else:
        chosen = choose_torch(version, index)
        print(f"  torch {chosen.version}{checked_by(chosen.address)}")
        # By address, so that no index is asked again; what it needs comes with Penstock's own.
        pip("install", "--no-deps", f"torch @ {chosen.address}")


def checked_by(address: str) -> str:
    """How much is known of a file at an address with its hash; nothing to say if it is locked."""
    digest = address.partition("#sha256=")[2]
    if not digest:
        return ", unchecked: its index tells no hash"
    return "" if digest in read()["torch"].hashes else ", whose hash is its index's own"


def choose_torch(version: str, index: str) -> "Choice":
    """The build of torch to install where there is no GPU.

    On Linux the ordinary index carries CUDA builds, which bring gigabytes of libraries that would
    never run, so PyTorch's own index of CPU builds is asked as well, briefly: it may be out of
    reach. A build from the ordinary index is taken if it needs no CUDA packages.
    """
    brief = ["--extra-index-url", index, "--timeout", "5", "--retries", "0"]
    for source in [brief, []] if index else [[]]:
        chosen = dry_run(["--no-deps", *source, f"torch=={version}"]).get("torch")
        if chosen is None:
            continue
        if chosen.version.endswith("+cpu"):
            return chosen
        whole = dry_run([f"torch=={version}"])
        cuda = [name for name in whole if name.startswith(CUDA_PACKAGES)]
        if whole and not cuda:
            return whole["torch"]
        sys.exit(
            f"This machine has no NVIDIA driver, and the torch {version} that can be had here "
            f"would bring {len(cuda)} CUDA packages ({', '.join(cuda[:3])} …), which is refused. "
            f"PyTorch's index of CPU builds ({index or 'none given'}) offers none or can't be "
            "reached; name a mirror of it: make up TORCH_INDEX=https://…"
        )
    sys.exit(f"pip finds no torch {version} for this Python and machine; see its messages above")


class Choice(NamedTuple):
    """A distribution that pip would install: its version and the file's address with its hash."""

    version: str
    address: str


def dry_run(requirements: list[str]) -> dict[str, Choice]:
    """What pip would install, by name; empty if it finds no answer."""
    command = [environment_python(), "-m", "pip", "--quiet", "install", "--dry-run"]
    command += ["--ignore-installed", "--report", "-", *requirements]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(done.stderr, file=sys.stderr)
        return {}
    found = {}
    for each in json.loads(done.stdout)["install"]:
        download, metadata = each["download_info"], each["metadata"]
        digest = download.get("archive_info", {}).get("hashes", {}).get("sha256")
        address = f"{download['url']}#sha256={digest}" if digest else download["url"]
        found[metadata["name"].lower()] = Choice(metadata["version"], address)
    return found


def pip(*arguments: str) -> None:
    """Runs the environment's pip, showing what it downloads; all of its output if it fails."""
    command = [environment_python(), "-m", "pip", *arguments]
    output = []
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        for line in process.stdout or ():
            output.append(line)
            if line.strip().startswith(TOLD) and ".metadata" not in line:
                print(f"    {line.strip()}"[:110], flush=True)
    if process.returncode != 0:
        sys.exit("".join(output) + "\npip failed; see above")


def pinned(name: str) -> str:
    lines = CONSTRAINTS.read_text().splitlines()
    return next(line.split("==")[1] for line in lines if line.startswith(f"{name}=="))


def installed(name: str) -> str:
    """The version of a distribution in the environment; empty if it isn't there."""
    asked = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
    done = subprocess.run(
        [environment_python(), "-c", asked, name], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def environment_python() -> str:
    return str(ENVIRONMENT / "bin" / "python")


if __name__ == "__main__":
    main()
