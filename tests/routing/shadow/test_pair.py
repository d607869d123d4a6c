"""What a record says of its request, which is nothing of its content."""

from dataclasses import replace

from protos.values import Tensor, Tensors
from routing.shadow.pair import SHAPE_LENGTH, rollout_of, shape_of
from tests.routing.shadow.shadow_scene import request, route, rule


def test_pairs_of_a_rollouts_candidate_are_its_evidence_and_others_are_not():
    ours, other = rule(version="2"), rule("next", version="9")
    assert rollout_of(route(ours, other, rollout="r-1"), ours) == "r-1"
    assert rollout_of(route(ours, other, rollout="r-1"), other) == ""
    assert rollout_of(route(ours, other), ours) == ""


def test_the_shape_names_inputs_without_their_content():
    tensors = (Tensor("x", "FP32", (1, 64), b""), Tensor("mask", "BOOL", (), b""))
    asked = replace(request(None), payload=Tensors(tensors))
    assert shape_of(asked) == "x FP32[1,64], mask BOOL[]"


def test_a_very_long_shape_is_shortened_visibly():
    tensors = tuple(Tensor(f"input{n}", "FP32", (1,), b"") for n in range(1000))
    text = shape_of(replace(request(None), payload=Tensors(tensors)))
    assert len(text) == SHAPE_LENGTH
    assert text.endswith("…")
