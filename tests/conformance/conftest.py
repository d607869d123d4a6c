"""One real mesh for all conformance tests, and the clients that they share."""

import json
from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from chaos.mesh import Mesh
from protos.datatypes import Array
from tests.conformance.described import Description
from tests.integration import mesh_models as models
from tests.openai_server import Server, serving

USER = "infer:*"


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """`quick` serves models that answer at once; those of `patient` take their time.

    Of a server of OpenAI's API there are `chat` and `embed`.
    """
    folder = tmp_path_factory.mktemp("conformance")
    quick, patient = folder / "quick", folder / "patient"
    models.write_echoes(quick)
    models.write_several(quick)
    models.write_long(quick)
    models.write_fails(quick)
    models.write_versions(quick, "spare", (1,))  # may be unloaded at any time
    models.write_count(patient, folder / "streams")
    models.write_slow(patient, folder / "ran", folder / "release")
    with serving(Server()) as url, Mesh(folder) as mesh:
        mesh.start_backend("quick", quick)
        mesh.start_backend("patient", patient)
        mesh.join_openai("llm", url, "--model", "chat=echo", "--model", "embed")
        names = [models.echo_name(datatype) for datatype in models.EVERY_DATATYPE]
        names += ["several", "long", "fails", "count", "slow", "spare", "chat", "embed"]
        mesh.wait_ready(*((name, "1") for name in names))
        yield mesh


@pytest.fixture(scope="session")
def description(mesh: Mesh) -> Description:
    with mesh.client(USER) as client:
        return Description(json.loads(client.get("/openapi.json").raise_for_status().content))


@pytest.fixture(scope="session")
def rest(mesh: Mesh, description: Description) -> Iterator[httpx.Client]:
    """A user's REST client; all replies to it are held against the OpenAPI document."""
    with mesh.client(USER, event_hooks={"response": [description.check]}) as client:
        yield client


@pytest.fixture(scope="session")
def admin(mesh: Mesh, description: Description) -> Iterator[httpx.Client]:
    hooks = {"response": [description.check]}
    with mesh.client("admin", USER, event_hooks=hooks) as client:
        yield client


@pytest.fixture
def stranger(mesh: Mesh, description: Description) -> Iterator[httpx.Client]:
    """A client without a token."""
    with mesh.client(event_hooks={"response": [description.check]}) as client:
        yield client


@pytest.fixture
def bearer(mesh: Mesh) -> dict[str, str]:
    """Headers or metadata for Triton's clients, which write their own into the dictionary."""
    return {"authorization": f"Bearer {mesh.token(USER)}"}


@pytest.fixture
def admin_bearer(mesh: Mesh) -> dict[str, str]:
    return {"authorization": f"Bearer {mesh.token('admin', USER)}"}


@pytest.fixture(params=models.EVERY_DATATYPE)
def sample(request: pytest.FixtureRequest) -> tuple[str, Array]:
    """A datatype and two rows of it: limits, signs, and bytes that are no UTF-8."""
    datatype: str = request.param
    return datatype, SAMPLES[datatype]


def _limits(code: str) -> Array:
    limits = np.iinfo(code)
    return np.array([[limits.min, limits.max], [1, 7]], code)


SAMPLES: dict[str, Array] = {
    "BOOL": np.array([[True, False], [False, True]]),
    **{f"UINT{bits}": _limits(f"u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": _limits(f"i{bits // 8}") for bits in (8, 16, 32, 64)},
    "FP16": np.array([[1.5, -65504], [6e-5, 0]], "f2"),
    "FP32": np.array([[1e-38, -3.4e38], [0.1, -0.0]], "f4"),
    "FP64": np.array([[5e-324, -1.7e308], [0.1, 1 / 3]], "f8"),
    # Triton's clients make bfloat16 of float32 by dropping the low bits.
    "BF16": np.array([[1.5, -2.0], [0.0, 256]], "f4"),
    "BYTES": np.array([[b"", "größer".encode()], [b"\xff\x00\xfe", b"a" * 300]], object),
}
