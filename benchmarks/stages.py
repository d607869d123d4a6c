"""Where a gateway's processor time goes: 64 floats of JSON, 64 at a time, one endpoint.

Samples of the event loop's thread (py-spy) are sorted by the innermost frame that belongs to a
stage, and scaled to the thread's own processor time in an unobserved block. What runs in C without
a Python frame (libuv, sockets, gRPC's core) is a stage of its own.

    python -m benchmarks stages
"""

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from benchmarks import credentials, load, mesh
from benchmarks.processes import Child, children
from benchmarks.report import Report, Table
from benchmarks.subjects import rest
from benchmarks.works import VECTOR, repository

CONNECTIONS = 64
_RATE = 400  # samples a second
# A frame's file and function begin with these; the first that fits names the frame's stage.
STAGES = (
    ("exchange", "routing/exchange.py", ""),
    ("exchange", "protos/exchange_", ""),
    ("exchange", "grpc/", ""),
    ("route, retry, pick", "routing/", ""),
    ("route, retry, pick", "policies/authorize.py", ""),
    ("authenticate", "policies/authenticate.py", ""),
    ("decode", "gateway/decode.py", ""),
    ("encode", "protos/v2_json.py", "encode_reply"),
    ("read body", "gateway/http/body.py", ""),
    ("metrics", "gateway/metrics.py", ""),
    ("HTTP", "gateway/http/", ""),
    ("HTTP", "uvicorn/", ""),
    ("gate", "gateway/gate.py", ""),
)
REST = "event loop, sockets, gRPC's core"
OTHERS = "other threads (gRPC's poller)"


def stage(stack: list[str]) -> str:
    """The stage of a sample; frames are py-spy's `function (file:line)`, outermost first."""
    for frame in reversed(stack):
        function, _, place = frame.partition(" (")
        for name, file, begins in STAGES:
            if place.startswith(file) and function.startswith(begins):
                return name
    return REST


def run(folder: Path, *, quick: bool = False) -> None:
    """Profiles, prints and saves the table."""
    seconds = 4 if quick else 10
    with children() as started:
        gateway = mesh.gateway(folder, "staged")
        started.append(gateway.child)
        backend, _ = mesh.backend(folder, "staged-0", "python", repository(folder), [gateway])
        started.append(backend)
        gateway.wait_for(VECTOR.model, [backend])
        call = rest(gateway.http, VECTOR, credentials.token("infer:*"))
        load.wrk(call, CONNECTIONS, 2)
        blocks = [_block(gateway.child, call) for _ in range(3)]
        samples = _profile(gateway.child, call, seconds, folder / "stages.txt")
    blocks.sort()
    everything, loop = blocks[1]
    total = sum(samples.values())
    rows = [(n, loop * count / total * 1e6, count / total) for n, count in samples.most_common()]
    report = Report("Stages of a request in the gateway", str(__doc__).partition("\n\n")[0])
    report.add(
        Table(
            f"µs of processor time a request ({everything * 1e6:.0f} in all)",
            ("stage", "µs", "share of the loop's thread"),
            [*rows, (OTHERS, (everything - loop) * 1e6, None)],
        )
    )
    report.save("stages", {"samples": dict(samples), "loop": loop, "all": everything})


def _block(gateway: Child, call: load.Call) -> tuple[float, float]:
    """Seconds of processor time a request: of all threads, of the event loop's."""
    everything, loop = gateway.cpu(), gateway.main_thread_cpu()
    requests = load.wrk(call, CONNECTIONS, 2).requests
    return (gateway.cpu() - everything) / requests, (gateway.main_thread_cpu() - loop) / requests


def _profile(gateway: Child, call: load.Call, seconds: int, file: Path) -> Counter[str]:
    pid = gateway.process.pid
    options = ["--threads", "--format", "raw", "--rate", str(_RATE), "--duration", str(seconds)]
    spy = subprocess.Popen(
        [_py_spy(), "record", "--pid", str(pid), "--output", str(file), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        load.wrk(call, CONNECTIONS, seconds + 1)
    finally:
        spy.wait(60)
    samples: Counter[str] = Counter()
    for line in file.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        if any("uvloop" in frame for frame in frames):
            samples[stage(frames)] += int(count)
    return samples


def _py_spy() -> str:
    beside = Path(sys.executable).with_name("py-spy")
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise SystemExit("py-spy is missing: install the extra `bench`")
    return found
