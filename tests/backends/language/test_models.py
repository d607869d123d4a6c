"""Looking up language models, and what gateways are told of them."""

from dataclasses import dataclass

import pytest

from backends.language.models import VERSION, ready, told
from protos import discovery_pb2 as pb
from protos.errors import Kind, PenstockError


@dataclass(frozen=True, slots=True)
class Model:
    name: str
    state: pb.ModelState = pb.READY
    reason: str = ""


MODELS = {"here": Model("here"), "coming": Model("coming", pb.LOADING, "it is being read")}


def failure(name: str, version: str = "") -> Kind:
    with pytest.raises(PenstockError) as raised:
        ready(MODELS, name, version)
    return raised.value.kind


def test_a_ready_model_is_found_with_its_version_or_without() -> None:
    assert ready(MODELS, "here", "") is ready(MODELS, "here", VERSION) is MODELS["here"]


def test_other_names_and_versions_are_not_found() -> None:
    assert failure("absent") == failure("here", "2") == Kind.NOT_FOUND


def test_a_model_that_is_not_ready_is_unavailable() -> None:
    assert failure("coming") == Kind.UNAVAILABLE


def test_a_beat_tells_a_model_with_its_state_and_the_tensors_it_takes_and_gives() -> None:
    model = told(MODELS["coming"], revision="abc", platform="llm")
    assert (model.name, model.version, model.state) == ("coming", VERSION, pb.LOADING)
    assert (model.reason, model.revision, model.platform) == ("it is being read", "abc", "llm")
    assert model.openai
    assert model.decoupled
    assert [each.name for each in model.inputs] == ["text_input"]
    assert [each.name for each in model.outputs] == ["text_output"]
