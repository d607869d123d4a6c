"""The mesh that these tests share; none of them may leave it otherwise than it was."""

from collections.abc import Iterator

import pytest

from chaos.mesh import Mesh
from tests.integration import mesh_models as models
from tests.integration.openai_site import ROUTES, Site
from tests.openai_server import MODELS, Server, serving


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    server = Server()
    with serving(server) as url, Mesh(tmp_path_factory.mktemp("openai"), routes=ROUTES) as mesh:
        mesh.join_openai("llm", url, "--revision", "of these tests")
        mesh.wait_ready(*[(model, "1") for model in MODELS])
        yield Site(mesh, server, url)


@pytest.fixture(scope="session")
def tensors(site: Site) -> Site:
    """With two models that take tensors, `encoder` and `long`, beside it."""
    repository = site.mesh.folder / "models"
    models.write_encoder(repository)
    models.write_long(repository)
    site.mesh.start_backend("tensors", repository)
    site.mesh.wait_ready(("encoder", "1"), ("long", "1"))
    return site
