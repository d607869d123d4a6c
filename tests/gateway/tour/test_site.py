"""The demo as the tour uses it: what is waited for, and that one tour is under way at a time."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.client import GatewayClient, Instance, ServedModel
from gateway.config import Config, load_config
from gateway.credentials import Credentials
from gateway.tour import site as sites
from gateway.tour.placed import MARK
from gateway.tour.site import Site
from protos.errors import PenstockError

CONFIG = """
apiVersion: penstock/v1
kind: Penstock
stateFolder: state
routes: routes
issuers:
  - {name: dev, issuer: dev, algorithm: HS256, secretFile: state/secret, development: true}
backends:
  - {runtime: onnx, repository: models}
  - {runtime: llm, repository: language}
"""


def served(*names: str, platform: str = "", state: str = "READY") -> list[Instance]:
    pairs = [each.split("/") for each in names]
    models = [ServedModel("one", name, one, state, "", "", platform) for name, one in pairs]
    return [Instance("one", "ready", tuple(models), {})]


class Gateway:
    """Stands in for a running one; each question takes the next of its answers, the last stays."""

    public = "http://127.0.0.1:8000"

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)

    async def instances(self) -> Any:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    routes = instances


@pytest.fixture
def config(tmp_path: Path) -> Config:
    for name in ("routes", "models"):
        (tmp_path / name).mkdir()
    (tmp_path / "penstock.yaml").write_text(CONFIG)
    return load_config(tmp_path / "penstock.yaml")


@pytest.fixture
def site(config: Config) -> Callable[..., Site]:
    def with_answers(*answers: Any) -> Site:
        return Site(config, Credentials(config), cast(GatewayClient, Gateway(*answers)))

    return with_answers


class TestModels:
    async def test_that_still_load_are_waited_for(self, site: Callable[..., Site]):
        loading = served("digits/1", "digits/2", state="LOADING")
        there = site(loading, served("digits/1"), served("digits/1", "digits/2"))
        await there.need("digits", "1", "2")

    async def test_that_dont_come_are_named(
        self, site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(sites, "_ARRIVAL", 0.0)
        there = site(served("digits/1", "digits/3"))
        with pytest.raises(PenstockError, match="nobody serves version 2, 4 of digits"):
            await there.need("digits", "1", "2", "3", "4")

    async def test_of_language_are_waited_for_and_adapters_are_none(
        self, site: Callable[..., Site], tmp_path: Path
    ):
        adapters = served("tiny:brief/1", platform="llm")
        there = site([], adapters, served("tiny:brief/1", "tiny/1", platform="llm"))
        assert await there.language_model() == (tmp_path / "language" / "tiny", "tiny")

    async def test_of_language_may_be_missing(
        self, site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(sites, "_ARRIVAL", 0.0)
        assert await site(served("digits/1")).language_model() is None


async def test_what_a_killed_tour_left_is_gone_before_the_next_begins(
    site: Callable[..., Site], tmp_path: Path
):
    left = tmp_path / "routes" / "tour-canary.yaml"
    left.write_text(MARK)
    before = {"routes": [{"name": "tour-canary"}, {"name": "mine"}]}
    after = {"routes": [{"name": "mine"}]}
    there = site(before, before, after)
    await there.clear()
    assert not left.exists()
    assert await there.client.routes() == after


def test_one_tour_is_under_way_at_a_time(site: Callable[..., Site]):
    with (
        site([]).alone(),
        pytest.raises(PenstockError, match="another tour of this demo is under way"),
        site([]).alone(),
    ):
        raise AssertionError
    with site([]).alone():
        pass


def test_documents_and_models_go_to_the_configurations_folders(
    site: Callable[..., Site], tmp_path: Path
):
    there = site([])
    with there.document("tour-canary.yaml", ""), there.model("tour-canary", lambda draft: None):
        assert os.listdir(tmp_path / "routes") == ["tour-canary.yaml"]
        assert os.listdir(tmp_path / "models") == ["tour-canary"]
