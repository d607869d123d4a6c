"""Ten thousand tenants, models and paths that nobody knows leave no mark on the metrics."""

import asyncio
import random

from chaos.mesh import Mesh
from tests.conformance.corpus.token_cases import claims, signed
from tests.conformance.corpus.wire import WAIT, request
from tests.gateway.http.raw_http import answers

REQUESTS, PIPELINED, AT_ONCE = 10_000, 50, 8
FIRST = 500  # after which there has been one of each kind
SPARE = 20  # series of what else the gateway does meanwhile


def _series(mesh: Mesh) -> list[str]:
    return [line for line in mesh.metrics().splitlines() if not line.startswith("#")]


def _counted(mesh: Mesh) -> float:
    told = [line for line in _series(mesh) if line.startswith("penstock_requests_total{")]
    return sum(float(line.split()[-1]) for line in told)


async def _ask_all(port: int, requests: list[bytes]) -> set[int]:
    room = asyncio.Semaphore(AT_ONCE)

    async def some(batch: list[bytes]) -> set[int]:
        async with room, asyncio.timeout(WAIT):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"".join(batch))
            received = b""
            while received.count(b"HTTP/1.1 ") < len(batch):
                received += await reader.read(1 << 16)
            received += await reader.read(1 << 16) if not received.endswith(b"}") else b""
            writer.close()
            return {answer.status for answer in answers(received)}

    batches = [requests[at : at + PIPELINED] for at in range(0, len(requests), PIPELINED)]
    return set().union(*await asyncio.gather(*map(some, batches)))


def test_metrics_stay_as_many_as_they_were(mesh: Mesh) -> None:
    secret, rng = mesh.secret.read_bytes().strip(), random.Random(7)

    def one() -> bytes:
        name = f"stranger-{rng.getrandbits(64):x}"
        token = signed(claims(tenant=name, sub=name), secret).encode()
        path = rng.choice(["/v2/models/{}/infer", "/v2/models/long/versions/{}/infer", "/{}/x"])
        method = rng.choice([b"POST", b"DELETE"])
        return request(path.format(name).encode(), method=method, token=token, body=b"{}")

    def ask(number: int) -> set[int]:
        """The statuses; returns when the metrics tell of all of them."""
        requests = [one() for _ in range(number)]
        told = _counted(mesh) + sum(b" /v2/" in each for each in requests)
        statuses = asyncio.run(_ask_all(mesh.ports["http"], requests))
        mesh.wait(lambda: _counted(mesh) >= told, "metrics of all requests")
        return statuses

    ask(FIRST)
    before = _series(mesh)
    statuses = ask(REQUESTS)

    assert statuses == {400, 404, 405}
    after = _series(mesh)
    assert len(after) <= len(before) + SPARE
    assert not [line for line in after if "stranger" in line]
