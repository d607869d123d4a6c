"""The worse version that the tour plants: the demo's model with some answers exchanged."""

from pathlib import Path

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from gateway.tour.canary import _worse


def scores_as_they_come(path: Path) -> None:
    """A model of ten inputs that are its scores."""
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["pixels"], ["scores"])],
        "digits",
        [info("pixels", onnx.TensorProto.FLOAT, ["batch", 10])],
        [info("scores", onnx.TensorProto.FLOAT, ["batch", 10])],
    )
    onnx.save(onnx.helper.make_model(graph), path)


def test_it_takes_one_for_seven_and_three_for_eight_and_knows_the_others(tmp_path: Path):
    scores_as_they_come(tmp_path / "model.onnx")
    _worse(tmp_path / "model.onnx", "12", tmp_path)
    made = onnx.load(tmp_path / "12" / "model.onnx")
    onnx.checker.check_model(made, full_check=True)
    assert [each.name for each in made.graph.output] == ["scores"]
    (scores,) = ReferenceEvaluator(made).run(None, {"pixels": np.eye(10, dtype=np.float32)})
    assert np.argmax(scores, axis=1).tolist() == [0, 7, 2, 8, 4, 5, 6, 1, 3, 9]
