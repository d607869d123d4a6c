"""Whether a port is free, and who has it if not."""

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from protos.errors import invalid
from protos.quantities import Address

_LISTENING = "0A"  # the kernel's number for the state, in /proc/net/tcp


def check_free(listeners: Mapping[str, Address]) -> None:
    """Raises INVALID with a sentence for all that is taken: the port, its use and who has it."""
    taken = [
        f"port {address.port} ({name}) is taken by {holder(address.port)}"
        for name, address in listeners.items()
        if address.port and not free(address)
    ]
    if taken:
        raise invalid(f"{'; '.join(taken)}. Stop that, or move all ports with --port-offset 100")


def free(address: Address) -> bool:
    """Whether a server could listen there now; raises INVALID for an address that isn't ours."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: connections that linger in TIME_WAIT don't keep a port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
            # Two sockets may be bound with SO_REUSEADDR, only one of them may listen.
            probe.listen(1)
        except PermissionError:
            raise invalid(f"{address}: this user may not listen on port {address.port}") from None
        except socket.gaierror:
            raise invalid(f"{address}: the host's name has no address") from None
        except OSError as error:
            if error.errno == 99:  # EADDRNOTAVAIL
                raise invalid(f"{address}: this machine doesn't have the address") from None
            return False
    return True


def holder(port: int) -> str:
    """The process that listens on a TCP port, in words, as far as this user may see it."""
    sockets = set(_listening_sockets(port))
    for process in Path("/proc").glob("[0-9]*"):
        if sockets & set(_open_files(process)):
            with contextlib.suppress(OSError):
                words = (process / "cmdline").read_bytes().replace(b"\0", b" ")
                return f"process {process.name} ({words.decode(errors='replace').strip()[:80]})"
    return "another process"


def _open_files(process: Path) -> Iterator[str]:
    try:
        files = list((process / "fd").iterdir())
    except OSError:
        return  # it ended meanwhile, or belongs to somebody else
    for file in files:
        with contextlib.suppress(OSError):
            yield os.readlink(file)


def _listening_sockets(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                yield f"socket:[{fields[9]}]"
