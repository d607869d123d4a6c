"""Bad HTTP/2 on raw sockets: a connection may end, the gateway serves on."""

import asyncio
import re
from collections.abc import Sequence

import grpc
import pytest

from chaos.mesh import Mesh
from protos import open_inference_pb2 as pb
from protos.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.conformance.corpus.http2_cases import CALLS, FLOODS, OUT_OF_PLACE, Frames
from tests.conformance.corpus.wire import WAIT

AT_ONCE = 16  # connections
SILENCE = 0.3  # seconds; some of what is sent is never answered
# The server's fields are literal, and its texts are not packed.
_STATUS = re.compile(rb"grpc-status.([0-9]{1,2})", re.DOTALL)
UNKNOWN, INTERNAL = 2, 13
FACES = ("grpc", "discovery")


async def _tell(port: int, frames: Frames) -> bytes:
    """What the server says, until it closes or stays silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    try:
        async with asyncio.timeout(WAIT):
            writer.write(frames.sent)
            while True:
                patience = SILENCE if frames.status is None or _STATUS.search(received) else WAIT
                async with asyncio.timeout(patience):
                    piece = await reader.read(65536)
                if not piece:
                    break
                received += piece
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.transport.abort()
    return received


async def _tell_all(port: int, cases: Sequence[Frames]) -> list[bytes]:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(case: Frames) -> bytes:
        async with room:
            return await _tell(port, case)

    return list(await asyncio.gather(*map(one, cases)))


def _statuses(received: bytes) -> list[int]:
    return [int(found) for found in _STATUS.findall(received)]


def test_calls_that_are_wrong_are_answered_as_the_callers_fault(mesh: Mesh) -> None:
    found = asyncio.run(_tell_all(mesh.ports["grpc"], CALLS))
    for case, received in zip(CALLS, found, strict=True):
        statuses = _statuses(received)
        if case.status is not None:
            assert statuses == [case.status], case.name
        assert UNKNOWN not in statuses, case.name
        assert b"Traceback" not in received, case.name


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("cases", [FLOODS, OUT_OF_PLACE], ids=["floods", "out of place"])
def test_frames_that_nobody_should_send_end_their_own_connection_at_most(
    mesh: Mesh, face: str, cases: Sequence[Frames]
) -> None:
    with grpc.insecure_channel(mesh.address("grpc")) as channel:
        stub = GRPCInferenceServiceStub(channel)
        live = stub.ServerLive(pb.ServerLiveRequest(), timeout=WAIT)
        asyncio.run(_tell_all(mesh.ports[face], cases))
        # On the connection that was there before, and on a new one.
        assert live == stub.ServerLive(pb.ServerLiveRequest(), timeout=WAIT)
    (received,) = asyncio.run(_tell_all(mesh.ports["grpc"], CALLS[:1]))
    assert _statuses(received) == [0]
