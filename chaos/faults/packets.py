"""Packets that get lost: nft rules of the network namespace that an experiment has for itself."""

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from chaos import probe

_DEVICES = Path("/proc/net/dev")


def to_and_from(*ports: int) -> str:
    """All packets of connections to these ports, which are so half-open at both ends."""
    wanted = ", ".join(map(str, ports))
    return f"tcp dport {{ {wanted} }} counter drop; tcp sport {{ {wanted} }} counter drop;"


def connecting(*ports: int) -> str:
    """What opens connections to these ports: nobody refuses them, and nobody answers."""
    wanted = ", ".join(map(str, ports))
    return f"tcp dport {{ {wanted} }} tcp flags & (syn | ack) == syn counter drop;"


def some(percent: int) -> str:
    """That share of all packets, at random."""
    return f"numgen random mod 100 < {percent} counter drop;"


@contextmanager
def dropped(rules: str) -> Iterator[Callable[[], int]]:
    """Drops what the rules say until the block's end; gives what counts the packets lost so far.

    Raises RuntimeError where there are other devices than loopback: that is not a namespace of an
    experiment's own.
    """
    if devices := _others():
        raise RuntimeError(f"packets are only dropped in a namespace without {', '.join(devices)}")
    _nft(
        "add table inet chaos; add chain inet chaos lost { type filter hook input priority 0; "
        f"{rules} }}"
    )
    try:
        yield _count
    finally:
        _nft("delete table inet chaos")


def _others() -> list[str]:
    names = [line.split(":")[0].strip() for line in _DEVICES.read_text().splitlines()[2:]]
    return [name for name in names if name != "lo"]


def _nft(script: str) -> None:
    subprocess.run([probe.find("nft"), "-f", "-"], input=script, text=True, check=True, timeout=10)


def _count() -> int:
    command = [str(probe.find("nft")), "list", "table", "inet", "chaos"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
    return sum(int(found) for found in re.findall(r"counter packets (\d+)", told))
