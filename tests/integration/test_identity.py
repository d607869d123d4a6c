"""API keys, withdrawn tokens and fetched keys, through every face of a running gateway."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import grpc
import httpx
import jwt
import pytest
from typer.testing import CliRunner

from chaos.mesh import Mesh
from gateway.key_commands import app
from protos import open_inference_pb2 as pb
from protos.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.policies.issuer_keys import jwk, private_key, segment
from tests.policies.key_server import KeyServer

KEYS = {kid: private_key("ES256") for kid in ("one", "two")}
SETTINGS = """  - name: fetched
    issuer: https://login.example
    algorithm: ES256
    jwksUrl: {url}
    development: true
apiKeys: {{secretFile: {folder}/api-keys}}
revocation: {{store: true}}
"""


@pytest.fixture(scope="module")
def issuer() -> Iterator[KeyServer]:
    """The other issuer's web server, on a loop of its own."""
    server, ready = KeyServer(), threading.Event()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        server.serve_keys(jwk(KEYS["one"], "ES256", "one"))
        async with server.serving(None):
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait(10)
    yield server
    loop.call_soon_threadsafe(over.set)
    thread.join(10)


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "two workers"])
def mesh(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, issuer: KeyServer
) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("identity")
    issuer.serve_keys(jwk(KEYS["one"], "ES256", "one"))
    more = SETTINGS.format(url=issuer.url(scheme="http"), folder=folder)
    with Mesh(folder, workers=request.param, more=more) as started:
        started.wait(lambda: rest(started, {"authorization": own(started)}) == 200, "a gateway")
        yield started


def own(mesh: Mesh) -> str:
    return f"Bearer {mesh.token('admin')}"


def rest(mesh: Mesh, headers: dict[str, str]) -> int:
    try:
        return httpx.get(f"{mesh.url}/v2", headers=headers).status_code
    except httpx.TransportError:
        return 0


def infer(mesh: Mesh, headers: dict[str, str]) -> int:
    """With an empty request: 400 for those who are known."""
    return httpx.post(f"{mesh.url}/v2/models/none/infer", headers=headers, json={}).status_code


def admin(mesh: Mesh, headers: dict[str, str]) -> int:
    return httpx.get(f"http://{mesh.address('admin')}/metrics", headers=headers).status_code


def rpc(mesh: Mesh, headers: dict[str, str]) -> str:
    with grpc.insecure_channel(mesh.address("grpc")) as channel:
        try:
            GRPCInferenceServiceStub(channel).ServerMetadata(
                pb.ServerMetadataRequest(), metadata=tuple(headers.items()), timeout=10
            )
        except grpc.RpcError as error:
            return str(error.code().name)
    return "OK"


def keys(mesh: Mesh, *arguments: str) -> str:
    done = CliRunner().invoke(app, [*arguments, "--config", str(mesh.file)])
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


def test_an_api_key_opens_every_face_until_it_is_revoked(mesh: Mesh) -> None:
    key = keys(
        mesh,
        *("create", "--tenant", "acme", "--name", "nightly"),
        *("--scope", "infer:*", "--scope", "metrics"),
    )
    for headers in ({"x-api-key": key}, {"authorization": f"Bearer {key}"}):
        everywhere(mesh, lambda headers=headers: rest(mesh, headers) == 200)
        everywhere(mesh, lambda headers=headers: rpc(mesh, headers) == "OK")
        mesh.wait(lambda headers=headers: admin(mesh, headers) == 200, "the admin face")
        assert infer(mesh, headers) == 400
    both = {"x-api-key": key, "authorization": own(mesh)}
    assert (rest(mesh, both), rpc(mesh, both)) == (401, "UNAUTHENTICATED")

    keys(mesh, "revoke", key)
    everywhere(mesh, lambda: rest(mesh, {"x-api-key": key}) == 401)
    everywhere(mesh, lambda: rpc(mesh, {"x-api-key": key}) == "UNAUTHENTICATED")
    mesh.wait(lambda: admin(mesh, {"x-api-key": key}) == 401, "the admin face")


def everywhere(mesh: Mesh, condition: Callable[[], bool]) -> None:
    """In every worker, whichever answers."""
    mesh.wait(lambda: all(condition() for _ in range(8)), "every worker")


def fetched(kid: str, jti: str = "1") -> dict[str, str]:
    now = time.time()
    claims = {
        **{"iss": "https://login.example", "aud": "penstock", "sub": "ann", "tenant": "acme"},
        **{"scope": "infer:*", "iat": now, "exp": now + 600, "jti": jti},
    }
    return {"authorization": "Bearer " + jwt.encode(claims, KEYS[kid], "ES256", {"kid": kid})}


def test_a_token_is_verified_with_a_fetched_key_until_it_is_withdrawn(mesh: Mesh) -> None:
    headers = fetched("one", "gone")
    everywhere(mesh, lambda: rest(mesh, headers) == 200)
    assert (infer(mesh, headers), rpc(mesh, headers)) == (400, "OK")
    keys(mesh, "revoke-token", "fetched", "gone")
    everywhere(mesh, lambda: rest(mesh, headers) == 401)
    assert rest(mesh, fetched("one")) == 200


def test_a_flood_of_unknown_keys_is_refused_and_fetches_nothing(
    mesh: Mesh, issuer: KeyServer
) -> None:
    asked = len(issuer.asked)
    header, _, signature = fetched("two")["authorization"].split(".")
    claims = fetched("two")["authorization"].split(".")[1]
    with httpx.Client(base_url=mesh.url) as client:
        for number in range(100):
            header = segment({"alg": "ES256", "kid": f"kid-{number}"})
            token = f"Bearer {header}.{claims}.{signature}"
            assert client.get("/v2", headers={"authorization": token}).status_code == 401
    assert len(issuer.asked) - asked <= 3  # one a process at most
