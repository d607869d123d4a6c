"""A model whose streams are long and heavy, and readers of streams who do what they like."""

import asyncio
import json
import socket
from pathlib import Path

from chaos.site import Site

NAME = "flood"
PART = 64 * 1024  # bytes of a part
_CODE = """
import numpy as np

NOTES = {notes!r}


def predict(inputs, parameters):
    try:
        for part in range(int(inputs["n"][0])):
            yield {{"part": np.full({values}, part, np.float64)}}
    except GeneratorExit:
        note("closed")
        raise
    note("finished")


def note(what):
    with open(NOTES, "a") as notes:
        notes.write(what + "\\n")
"""
_TENSORS = f"""
decoupled: true
inputs: [{{name: n, datatype: INT32, shape: [1]}}]
outputs: [{{name: part, datatype: FP64, shape: [{PART // 8}]}}]
warmUp: {{data: "off"}}
"""


class Flood:
    """The model, in a repository of others; it notes how its streams ended."""

    def __init__(self, repository: Path) -> None:
        self._notes = repository.parent / f"{NAME}-streams"
        model = repository / NAME
        model.mkdir(parents=True)
        code = _CODE.format(notes=str(self._notes), values=PART // 8)
        (model / "model.py").write_text(code)
        (model / "model.yaml").write_text(_TENSORS)

    def ended(self, how: str) -> int:
        """How many streams were `closed` before their end, or `finished`."""
        return self._notes.read_text().split().count(how) if self._notes.exists() else 0


async def open_stream(
    site: Site, parts: int, *, kept_by_kernel: int = 0
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Asks for a stream of so many parts as server-sent events; nothing of it is read yet.

    `kept_by_kernel` is what the client's kernel takes without anybody reading, in bytes.
    """
    host, port = site.gateway.address("http").split(":")
    sock = socket.socket()
    if kept_by_kernel:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, kept_by_kernel)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=sock, limit=1024)
    asked = json.dumps({"n": parts}).encode()
    writer.write(
        f"POST /v2/models/{NAME}/generate_stream HTTP/1.1\r\nhost: x\r\n"
        f"authorization: Bearer {site.gateway.token('infer:*')}\r\n"
        f"content-length: {len(asked)}\r\n\r\n".encode()
        + asked
    )
    return reader, writer
