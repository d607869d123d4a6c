"""One real mesh for all bad input, with small limits, and what must be true of it afterwards."""

from collections.abc import Iterator

import pytest

from chaos.mesh import Mesh
from tests.conformance.corpus.body_cases import BODY
from tests.conformance.corpus.issuers import Issuers, issuing
from tests.conformance.corpus.vitals import Vitals
from tests.integration import mesh_models as models
from tests.openai_server import Server, serving

# Nothing here may be late, however busy the machine is; what is too slow has tests of its own.
LIMITS = (
    f"body: {BODY}B, jsonBody: {BODY // 2}B, jsonInline: {BODY // 8}B,"
    " headerTimeout: 100s, bodyTimeout: 100s, bodies: 256MiB"
)


@pytest.fixture(scope="package")
def issuers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuers]:
    with issuing(tmp_path_factory.mktemp("issuers")) as issuers:
        yield issuers


@pytest.fixture(scope="package")
def mesh(tmp_path_factory: pytest.TempPathFactory, issuers: Issuers) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("corpus")
    repository = folder / "repository"
    models.write_long(repository)
    with serving(Server()) as url, Mesh(folder, limits=LIMITS, more=issuers.yaml) as mesh:
        mesh.start_backend("quick", repository)
        mesh.join_openai("llm", url, "--model", "chat=echo", "--model", "embed")
        mesh.wait_ready(("long", "1"), ("chat", "1"), ("embed", "1"))
        yield mesh


@pytest.fixture(scope="module", autouse=True)
def unharmed(mesh: Mesh) -> Iterator[None]:
    """Whatever came in, the gateway is as it was before."""
    before = Vitals.of(mesh)
    yield
    before.check(mesh)


@pytest.fixture(scope="package")
def token(mesh: Mesh) -> str:
    return mesh.token("infer:*")
