"""`penstock up` as it is, with stand-ins for its processes: stand_in_up.py CONFIG MESH THEN"""

import asyncio
import sys
import time
from pathlib import Path

from gateway.children import Command
from gateway.config import load_config
from gateway.credentials import Credentials
from gateway.plan import Plan
from gateway.terminal import Terminal
from gateway.up import Up

BACKEND = """
import os, signal
def finish(*_):
    print("backend finished", flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, finish)
print(f"backend started as {os.getpid()}", flush=True)
while True:
    signal.pause()
"""


def main(config_file: str, mesh: str, then: str) -> int:
    config = load_config(Path(config_file))
    credentials = Credentials(config)
    credentials.renew(time.time())
    ports = [str(config.listener(face).address.port) for face in ("http", "admin")]
    stand_in = Path(__file__).with_name("stand_in_gateway.py")
    gateway = Command("gateway", (sys.executable, str(stand_in), *ports, mesh))
    backend = Command("onnx", (sys.executable, "-c", BACKEND))
    return asyncio.run(Up(config, Plan(gateway, (backend,)), credentials, Terminal()).run(then))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
