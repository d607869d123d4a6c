"""Free ports for servers that have to be told theirs."""

import random
import socket
from contextlib import ExitStack

# Below those that Linux and macOS give to outgoing connections: of these, one may be taken between
# the moment that it was found free and the moment that the server wants it.
RANGE = range(15_000, 32_000)


def free_ports(count: int) -> list[int]:
    """So many ports of 127.0.0.1 that nobody listens on."""
    with ExitStack() as stack:
        return [_bound(stack.enter_context(socket.socket())) for _ in range(count)]


def _bound(sock: socket.socket) -> int:
    while True:
        port = random.SystemRandom().choice(RANGE)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            continue
        return port
