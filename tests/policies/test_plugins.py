"""Policies from outside, found as an installed package's entry points are."""

import sys
from dataclasses import replace
from math import inf

import pytest

from gateway.routes.documents import check_texts
from policies import plugins
from policies.plugins import Plugins, load
from protos.errors import Kind, PenstockError
from protos.principal import Principal
from protos.service import Reply
from protos.strict_yaml import ConfigError
from protos.timeline import Timeline
from protos.values import Context, InferRequest, Part, Tensors
from routing.rules.snapshot import snapshot

PACKAGE = '''
from protos.errors import Kind, PenstockError
from protos.settings import Settings
from pydantic import field_validator

MADE = []

class Said(Settings):
    most: int = 2

class Few:
    """Refuses after so many requests."""
    Settings = Said

    def __init__(self, settings):
        self.left = settings.most
        MADE.append(self)

    async def __call__(self, request, service):
        self.left -= 1
        if self.left < 0:
            raise PenstockError(Kind.FORBIDDEN, "there were enough")
        return await service(request)

class Broken(Few):
    def __init__(self, settings):
        raise RuntimeError("no licence")

class Odd(Settings):
    word: str = ""

    @field_validator("word")
    @classmethod
    def _known(cls, word):
        return {"a": 1}[word]

class Strange(Few):
    Settings = Odd

def nothing():
    pass
'''

ROUTE = """
apiVersion: penstock/v1
kind: Route
metadata: {{name: {name}}}
spec:
  match: [{{model: {name}}}]
  backends: [{{name: a, model: {name}}}]
  plugins:
    {plugins}
"""
PART = Part(Tensors(()), "1", {}, True)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed distribution with three entry points."""
    (tmp_path / "outside_policies.py").write_text(PACKAGE)
    (tmp_path / "outside_leaving.py").write_text("raise SystemExit('no licence for S3CRET')")
    information = tmp_path / "outside_policies-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[penstock.policies]\nfew = outside_policies:Few\nbroken = outside_policies:Broken\n"
        "nothing = outside_policies:nothing\nmissing = not_there:Few\n"
        "leaving = outside_leaving:Few\nstrange = outside_policies:Strange\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(plugins, "_imported", {})
    yield
    sys.modules.pop("outside_policies", None)


def loaded(written, name="few"):
    return check_texts([("few.yaml", ROUTE.format(plugins=written, name=name))]).routes[0].route


def routed(written, name="few"):
    return snapshot(loaded(written, name), "1", None)


def request(route):
    context = Context(Principal("s", "t", frozenset()), inf, Timeline(0.0), route=route)
    return InferRequest("1", "few", "1", Tensors(()), {}, context)


async def service(request):
    return Reply(PART)


async def test_a_request_goes_through_what_its_route_names(package):
    filter_, route = Plugins(), routed("- {policy: few, settings: {most: 1}}")
    filter_.prepare([route])
    assert await filter_(request(route), service) == Reply(PART)
    with pytest.raises(PenstockError) as refusal:
        await filter_(request(route), service)
    assert refusal.value.kind is Kind.FORBIDDEN


async def test_an_unchanged_policy_keeps_what_it_knows_and_a_changed_one_begins_anew(package):
    filter_, route = Plugins(), routed("- {policy: few, settings: {most: 1}}")
    filter_.prepare([route])
    await filter_(request(route), service)
    again = replace(route, revision="2")
    filter_.prepare([again])
    with pytest.raises(PenstockError):
        await filter_(request(again), service)
    changed = routed("- {policy: few, settings: {most: 3}}")
    filter_.prepare([changed])
    await filter_(request(changed), service)


async def test_a_request_keeps_the_policies_of_the_route_that_it_was_matched_to(package):
    filter_, route = Plugins(), routed("- {policy: few}")
    filter_.prepare([route])
    filter_.prepare([routed("- {policy: few, settings: {most: 1}}")])
    assert await filter_(request(route), service) == Reply(PART)
    filter_.prepare([])
    assert await filter_(request(route), service) == Reply(PART)


async def test_the_first_one_is_outermost(package):
    filter_ = Plugins()
    route = routed("- {policy: few, settings: {most: 1}}\n    - {policy: few}")
    filter_.prepare([route])
    await filter_(request(route), service)
    with pytest.raises(PenstockError):
        await filter_(request(route), service)
    outer, inner = sys.modules["outside_policies"].MADE
    assert (outer.left, inner.left) == (-1, 1)


async def test_a_policy_that_cannot_be_made_refuses_its_route_and_no_other(package):
    filter_ = Plugins()
    broken, good = routed("- {policy: broken}"), routed("- {policy: few}", "good")
    filter_.prepare([broken, good])
    with pytest.raises(PenstockError) as refusal:
        await filter_(request(broken), service)
    assert refusal.value.kind is Kind.UNAVAILABLE
    await filter_(request(good), service)


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("- {policy: feww}", r'few.yaml:9: spec.plugins\[0\].policy: no package offers .*"few"'),
        ("- {policy: nothing}", "is no class with `Settings`"),
        ("- {policy: missing}", "can't be imported: ModuleNotFoundError"),
        ("- {policy: leaving}", "can't be imported: SystemExit$"),
        ("- {policy: strange, settings: {word: b}}", "settings of .* can't be checked: KeyError$"),
        (
            "- {policy: few, settings: {mots: 1}}",
            r'few.yaml:9: spec.plugins\[0\].settings.mots: unknown key.*"most"',
        ),
        (
            "- {policy: few, settings: {most: many}}",
            r"spec.plugins\[0\].settings.most: should be a valid integer",
        ),
    ],
)
def test_what_cannot_be_is_told_with_its_line(package, written, sentence):
    with pytest.raises(ConfigError, match=sentence):
        loaded(written)


def test_without_packages_there_are_none():
    with pytest.raises(ValueError, match='no package offers a policy "few"; there are: none'):
        load("few")
