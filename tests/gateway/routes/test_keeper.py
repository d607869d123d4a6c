"""The routes in force: last good ones survive refusals, restarts, and folders that vanish."""

from pathlib import Path

import pytest

from gateway.routes import keeper as keeper_module
from gateway.routes.keeper import RouteKeeper
from protos.strict_yaml import ConfigError

ROUTE = """
apiVersion: penstock/v1
kind: Route
metadata: {name: fraud}
spec:
  match: [{model: fraud}]
  backends: [{name: stable, model: fraud}]
"""


class Site:
    def __init__(self, folder: Path):
        self.routes = folder / "routes"
        self.routes.mkdir()
        self.last_good = folder / "state" / "last-good.json"
        self.published = []

    def keeper(self):
        return RouteKeeper(self.routes, self.last_good, self.published.append)

    def write(self, text, name="fraud.yaml"):
        (self.routes / name).write_text(text)


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


async def test_what_is_good_is_published_with_its_texts(site):
    site.write(ROUTE)
    keeper = site.keeper()

    await keeper.start()

    (routing,) = site.published
    assert [file.text for file in routing.files] == [ROUTE]
    assert keeper.by_name().keys() == {"fraud"}


async def test_a_refused_file_leaves_the_last_good_ones(site):
    site.write(ROUTE)
    keeper = site.keeper()
    await keeper.start()
    site.write(ROUTE.replace("match", "mtach"))

    await keeper.look()

    assert keeper.refused == 1
    assert "did you mean" in keeper.problem
    assert keeper.by_name().keys() == {"fraud"}
    assert len(site.published) == 1


async def test_what_nobody_foresaw_shows_once_and_the_change_is_not_passed_over(site, monkeypatch):
    site.write(ROUTE)
    keeper = site.keeper()
    await keeper.start()
    site.write(ROUTE.replace("fraud}]", "fraud2}]"))
    with monkeypatch.context() as broken:
        broken.setattr(keeper_module, "load_folder", lambda folder: 1 / 0)
        await keeper.look()
        await keeper.look()
        assert keeper.refused == 1
        assert "ZeroDivisionError" in keeper.problem
    await keeper.look()
    assert keeper.problem == ""
    assert len(site.published) == 2


async def test_a_restart_beside_a_broken_file_serves_the_last_good_ones(site):
    site.write(ROUTE)
    await site.keeper().start()
    site.write("nonsense: [")
    again = site.keeper()

    await again.start()

    assert again.by_name().keys() == {"fraud"}
    assert again.problem


async def test_without_any_good_ones_nothing_is_served(site):
    site.write("nonsense: [")

    with pytest.raises(ConfigError):
        await site.keeper().start()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b"5",
        b"[]",
        b"[5]",
        b"[[1, 2]]",
        b'["ab"]',
        b'[["a", "b", "c"]]',
        b'{"fraud.yaml": "kind: Route"}',
        b'[["fraud.yaml", "nonsense: ["]]',
        b"[" * 100_000,
    ],
    ids=lambda content: content[:20],
)
async def test_last_good_ones_that_somebody_changed_are_none(site, content):
    site.write(ROUTE)
    await site.keeper().start()
    site.last_good.write_bytes(content)
    await site.keeper().start()  # which the folder's own documents mend
    assert site.last_good.read_bytes() != content
    site.last_good.write_bytes(content)
    site.write("nonsense: [")
    with pytest.raises(ConfigError):
        await site.keeper().start()


async def test_no_routes_at_all_are_no_last_good_ones(site):
    await site.keeper().start()
    assert not site.last_good.exists()
    site.write("nonsense: [")
    with pytest.raises(ConfigError):
        await site.keeper().start()


async def test_a_folder_that_is_suddenly_empty_takes_no_rules_away(site):
    site.write(ROUTE)
    keeper = site.keeper()
    await keeper.start()
    (site.routes / "fraud.yaml").unlink()

    await keeper.look()
    again = site.keeper()
    await again.start()

    assert "holds no routes any more" in keeper.problem
    assert keeper.by_name().keys() == again.by_name().keys() == {"fraud"}


async def test_a_state_folder_that_takes_nothing_loses_no_change(site, tmp_path):
    (tmp_path / "state").write_text("a file where the folder should be")
    site.write(ROUTE)
    keeper = site.keeper()
    await keeper.start()
    site.write(ROUTE.replace("stable", "steady"))

    await keeper.look()

    assert keeper.unkept == 2
    assert [arm.name for arm in next(iter(keeper.table().snapshots())).arms] == ["steady"]


async def test_layout_alone_is_no_change(site):
    site.write(ROUTE)
    keeper = site.keeper()
    await keeper.start()
    site.write(ROUTE + "\n# a comment\n")

    await keeper.look()

    assert len(site.published) == 1
