"""A gateway runs as a user without rights, on files that it can't change, as images have it."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from chaos.mesh import FACES
from chaos.ports import free_ports
from chaos.processes import ROOT
from protos.orphans import die_with

USER = 10001  # the images' and the chart's
PATIENCE = 60.0  # seconds to start; the machine may be busy
WITHOUT = ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--clear-groups"]


def unprivileged(command: list[str]) -> list[str]:
    """The command as that user without any capability, and with a root that is read-only."""
    if os.geteuid() != 0:
        pytest.skip("to become another user takes root")
    for program in ("setpriv", "unshare"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not here (apt-get install util-linux)")
    probe = subprocess.run(["unshare", "--mount", "true"], capture_output=True)
    if probe.returncode:
        pytest.skip("this machine makes no mount namespaces")
    prefixes = [Path(sys.base_prefix), *Path(sys.base_prefix).parents]
    hidden = [str(each) for each in prefixes if not each.stat().st_mode & 0o001]
    script = _SCRIPT.format(base=sys.base_prefix, hidden=hidden[-1] if hidden else "")
    return ["unshare", "--mount", "sh", "-c", script, "sh", *command]


# Of the namespace alone: nothing outside sees these mounts. An interpreter that lies where others
# may not look (root's home) is put there once more without what is around it.
_SCRIPT = f"""
set -e
if [ -n "{{hidden}}" ]; then
  mkdir "$TMPDIR/python" && mount --bind "{{base}}" "$TMPDIR/python"
  mount -t tmpfs -o mode=755 tmpfs "{{hidden}}" && mkdir -p "{{base}}"
  mount --bind "$TMPDIR/python" "{{base}}"
fi
mount --bind "$STATE" "$STATE"
mount --bind "$TMPDIR" "$TMPDIR"
mount -o remount,bind,ro /
exec setpriv --reuid={USER} --regid={USER} {" ".join(WITHOUT)} "$@"
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not pytest's own, which lies where nobody else may look.
    with tempfile.TemporaryDirectory(prefix="unprivileged-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def test_it_needs_no_rights_and_writes_to_its_state_folder_alone(folder: Path) -> None:
    ports = dict(zip(FACES, free_ports(len(FACES)), strict=True))
    listeners = "".join(f"  {face}: {{address: 127.0.0.1:{p}}}\n" for face, p in ports.items())
    state, temporary, file = folder / "state", folder / "tmp", folder / "penstock.yaml"
    file.write_text(
        f"apiVersion: penstock/v1\nkind: Penstock\nstateFolder: {state}\nworkers: 1\n"
        f"listeners:\n{listeners}apiKeys: {{secretFile: {state}/api-keys}}\n"
    )
    command = unprivileged([sys.executable, "-m", "gateway", "serve", "--config", str(file)])
    for each in (state, temporary):
        each.mkdir(mode=0o700)
        os.chown(each, USER, USER)
    (state / "api-keys").write_text("k" * 32)
    (state / "api-keys").chmod(0o600)
    os.chown(state / "api-keys", USER, USER)
    with (folder / "log").open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(temporary), "STATE": str(state), "HOME": "/nowhere"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=partial(die_with, os.getpid()),
        )
    try:
        until = time.monotonic() + PATIENCE
        while not alive(ports["http"]):
            words = (folder / "log").read_text()
            assert process.poll() is None, words
            assert time.monotonic() < until, words
            time.sleep(0.1)
        found = status(process.pid)
        assert found["Uid"].split() == [str(USER)] * 4
        assert found["NoNewPrivs"] == "1"
        assert {int(found[each], 16) for each in ("CapEff", "CapPrm", "CapInh", "CapBnd")} == {0}
        mounts = Path(f"/proc/{process.pid}/mounts").read_text().splitlines()
        (root,) = {line.split()[3].split(",")[0] for line in mounts if line.split()[1] == "/"}
        assert root == "ro"
        owned = {path for path in folder.rglob("*") if path.stat().st_uid == USER}
        assert all(path.is_relative_to(state) or path.is_relative_to(temporary) for path in owned)
        assert state / "records.db" in owned
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(60) == 0
        finally:
            process.kill()


def alive(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/v2/health/live", timeout=5.0).is_success
    except httpx.TransportError:
        return False
